import { basename } from 'node:path';
import { BUNDLED_TEXT } from '../../studies/bundled.js';
import { compareSwaps as study, swapSet } from '../../studies/compare-swaps.js';
import { type EvaluationText, openEvaluationText } from '../../studies/evaluate-text.js';
import { maskingFor } from '../../studies/objective.js';
import { textNames, type TrainedOn, trainedOn } from '../../studies/trained-on.js';
import { openModel, readModel } from '../../pretrained/open.js';
import { printable, styleFor } from '../ansi.js';
import { withDevice } from '../common-options.js';
import { OutputFile } from '../files.js';
import * as format from '../../report/format.js';
import type { Io } from '../io.js';
import { jsonOutput } from '../json-output.js';
import { Progress } from '../progress.js';
import { perplexityReport } from '../../report/perplexity.js';
import type { Subject } from '../../report/swaps.js';
import { subjectText, swapClosing, swapTable } from '../swaps.js';
import { textPath } from '../text-file.js';
import { version } from '../version.js';
import { modelPath } from './compare-features.js';
import { readVariants } from './compare-mechanisms.js';
import { type CompareValues, SCORED } from './compare-options.js';
import { fitLengths } from './compare-text.js';

interface How {
  readonly who: string;
  /** The text; undefined: the bundled one. */
  readonly file: string | undefined;
  readonly command: string;
}

/** `subquad compare --task perplexity`. */
export async function comparePerplexities(values: CompareValues, { who, file, command }: How, io: Io): Promise<number> {
  const path = modelPath(who, values.model, io);
  const { config, json: about } = readModel(path);
  const chosen = values.set.length > 0 || [values.mechanisms, values.families].some((words) => words !== undefined);
  const { heads: H, kvHeads: G, headDim: D, length: L } = config;
  const variants = chosen
    ? readVariants(who, { ...values, causal: false }, { B: 1, H, G, L, S: L, D, E: D })
    : swapSet(L);
  const known = trainedOn(about);
  const json = jsonOutput(who, values.json, io);
  const output = new OutputFile(who, 'report', values.report, io);
  const style = styleFor(io, io.outTerminal);
  const say = json?.standard === true ? () => undefined : (line: string) => io.out(line);
  const progress = new Progress(io);
  const text = await openEvaluationText(about, filesOf(file && textPath(file, io), about), io.cwd);
  try {
    // a window has a target behind its last byte
    const { lengths, note } = fitWindows(values.lengths ?? [L], text.source.size - 1);
    const found = await withDevice(who, values, async (device) => {
      const loaded = await openModel(path, { device });
      try {
        const subject: Subject = {
          model: basename(path),
          document: nameOf(text),
          provenance: provenance(text, known),
          note,
        };
        say(subjectText(config, subject, device.info, style));
        const result = await study(device, loaded, text.source, {
          variants,
          lengths,
          maxBytes: values['max-bytes'] ?? SCORED,
          seed: values.seed,
          masking: maskingFor(about),
          onProgress: (what) => progress.show(what),
        });
        return { ...subject, ...result };
      } finally {
        loaded.model.dispose();
      }
    }).finally(() => progress.clear());
    for (const length of found.lengths) say(swapTable(found, length, style));
    say(swapClosing(found, style));
    output.write(perplexityReport(found, { command, version: version() }));
    json?.write(found);
    say(`report  ${style.accent(printable(output.path))}\n`);
    return 0;
  } finally {
    text.close();
  }
}

/** The lengths that the text has windows of; in place of longer ones, once, the longest there is. */
function fitWindows(
  wanted: readonly number[],
  longest: number,
): { readonly lengths: number[]; readonly note: string | undefined } {
  const { lengths, note } = fitLengths(wanted, longest);
  const most = format.integer(longest);
  return { lengths, note: note && `The text is short: windows of ${most} take the place of longer ones.` };
}

/** The bundled text, or of a model that was trained on it alone what was kept for validation. */
export function filesOf(file: string | undefined, about: Parameters<typeof trainedOn>[0]): string[] {
  if (file !== undefined) return [file];
  const { texts, validation = 0, keptOfNovel } = trainedOn(about);
  const alone = texts?.length === 1 && texts[0] === basename(BUNDLED_TEXT);
  return keptOfNovel !== undefined || (alone && validation > 0) ? [] : [BUNDLED_TEXT];
}

function nameOf({ bytes }: EvaluationText): string {
  const names = bytes.documents.map(({ path }) => basename(path));
  return textNames(names);
}

/** Whether the model has seen the text, as far as its JSON tells. */
function provenance({ bytes, heldOut }: EvaluationText, { texts, validation, bitsPerByte }: TrainedOn): string {
  const own =
    bitsPerByte === undefined
      ? ''
      : `; its best on its own validation text was ${bitsPerByte.toFixed(3)} bits per byte`;
  if (heldOut) return `The text is the part that training kept for validation${own}.`;
  if (texts === undefined) return `Whether the model was trained on this text is not known${own}.`;
  const among = bytes.documents.some(({ path }) => texts.includes(basename(path)));
  const kept =
    validation === undefined || validation === 0 ? '' : `, but for the last ${Math.round(100 * validation)} % of all`;
  return among
    ? `A text of this name is among those the model was trained on${kept}: it has seen most of these bytes${own}.`
    : `The model was trained on ${textNames(texts)}${own}.`;
}
