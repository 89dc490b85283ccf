const { TestEnvironment } = require('jest-environment-node');

/** These repeat cases of other tests a thousand times. They would take a quarter of the time of every mutant. */
const AT_SCALE = /\b1000\b|thousand|bursts|ten minutes|many calls/;

/** One failed test kills a mutant: the others are skipped. */
module.exports = class extends TestEnvironment {
  #hasFailed = false;

  handleTestEvent({ name, test }) {
    if (name === 'test_done' && test.errors.length > 0) this.#hasFailed = true;
    if (name === 'test_start' && (this.#hasFailed || AT_SCALE.test(fullName(test)))) test.mode = 'skip';
  }
};

const fullName = ({ name, parent }) => (parent ? `${fullName(parent)} ${name}` : name);
