import { ascii, defineTask, letters } from './task.js';

/** Random letters, a separator, then the same letters: `qxlvb|` asks for `qxlvb`. As many as there is room for. */
export const copy = defineTask({
  name: 'copy',
  help: 'repeat a random string after a separator',
  shortest: 2,
  write(room, draw) {
    const text = letters(draw((room - 1) >> 1, 26));
    return { question: ascii(`${text}|`), answer: ascii(text) };
  },
});
