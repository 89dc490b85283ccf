// One measurement in its own process: see apart() in measure.mjs.
const [, , module, name, input] = process.argv;
const { [name]: measure } = await import(module);
const result = await measure(JSON.parse(input));
process.send({ result }, () => process.exit(0));
