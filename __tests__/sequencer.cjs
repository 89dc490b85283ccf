const { default: Sequencer } = require('@jest/test-sequencer');

/** Suites that mostly wait. At the end of a run each of them would keep the other workers idle. */
const WAITS = /[.]e2e[.]|\/browser\/|\/(?:drain|holders|exits|deadline-timer)[./]/;

module.exports = class extends Sequencer {
  sort(tests) {
    const sorted = super.sort(tests);
    const waits = ({ path }) => WAITS.test(path);
    return [...sorted.filter(waits), ...sorted.filter((test) => !waits(test))];
  }
};
