/** What an option takes: these values; or a test, and how to say it. */
type Rule = readonly unknown[] | ((got: unknown) => string | false);

/** Every option may be undefined. @throws TypeError that names the option, what it takes and what it got. Not for secrets. */
export function checkOptions(
  name: string,
  given: Readonly<Record<string, unknown>>,
  rules: Readonly<Record<string, Rule>>,
): void {
  for (const [option, rule] of Object.entries(rules)) {
    const got = given[option];
    const takes = typeof rule === 'function' ? rule(got) : !rule.includes(got) && rule.join(' or ');
    if (got !== undefined && takes) {
      throw new TypeError(`${name}: \`${option}\` takes ${takes}, but got ${JSON.stringify(got)}`);
    }
  }
}
