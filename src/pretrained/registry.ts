import { CapabilityError } from '../core/errors.js';
import { unknown } from '../core/names.js';
import type { Family } from './family.js';
import { funnel } from './families/funnel.js';
import { perceiver } from './families/perceiver.js';
import { transfoXl } from './families/transfo-xl.js';
import { xlnet } from './families/xlnet.js';
import { gpt2 } from './families/gpt2.js';
import { albert } from './families/albert.js';
import { bert } from './families/bert.js';
import { bigBird } from './families/big-bird.js';
import { bloom } from './families/bloom.js';
import { distilbert } from './families/distilbert.js';
import { falcon } from './families/falcon.js';
import { fnet } from './families/fnet.js';
import { gemma2 } from './families/gemma2.js';
import { gemma3 } from './families/gemma3.js';
import { gptNeo } from './families/gpt-neo.js';
import { gptNeox } from './families/gpt-neox.js';
import { llama } from './families/llama.js';
import { longformer } from './families/longformer.js';
import { mamba2 } from './families/mamba2.js';
import { mistral } from './families/mistral.js';
import { mixtral } from './families/mixtral.js';
import { modernbert } from './families/modernbert.js';
import { mpt } from './families/mpt.js';
import { nystromformer } from './families/nystromformer.js';
import { olmo2 } from './families/olmo2.js';
import { olmoe } from './families/olmoe.js';
import { pegasusX } from './families/pegasus-x.js';
import { phi3 } from './families/phi3.js';
import { qwen2 } from './families/qwen2.js';
import { qwen2Moe } from './families/qwen2-moe.js';
import { qwen3 } from './families/qwen3.js';
import { qwen3Next } from './families/qwen3-next.js';
import { reformer } from './families/reformer.js';
import { roberta } from './families/roberta.js';
import { switchTransformers } from './families/switch-transformers.js';
import { led } from './families/led.js';
import { bigBirdPegasus } from './families/bigbird-pegasus.js';
import { nllbMoe } from './families/nllb-moe.js';
import { longT5 } from './families/longt5.js';
import { t5 } from './families/t5.js';

/** All families, in the order of the README's table. */
export const families: readonly Family[] = [
  bert,
  roberta,
  distilbert,
  albert,
  longformer,
  bigBird,
  nystromformer,
  fnet,
  modernbert,
  reformer,
  funnel,
  perceiver,
  transfoXl,
  xlnet,
  gpt2,
  gptNeo,
  gptNeox,
  llama,
  mistral,
  qwen2,
  qwen3,
  gemma2,
  gemma3,
  phi3,
  olmo2,
  bloom,
  mpt,
  falcon,
  mamba2,
  mixtral,
  olmoe,
  qwen2Moe,
  qwen3Next,
  t5,
  switchTransformers,
  led,
  bigBirdPegasus,
  pegasusX,
  nllbMoe,
  longT5,
];

/** The family of a `model_type`. @throws CapabilityError for one that is not here, with the nearest. */
export function familyOf(who: string, modelType: unknown): Family {
  const found = families.find(({ modelTypes }) => modelTypes.includes(modelType as string));
  if (found !== undefined) return found;
  const known = families.flatMap(({ modelTypes }) => modelTypes);
  throw new CapabilityError(
    `${who}: ${unknown('model_type', [modelType], known)}. A family of one file adds it: see src/pretrained/families.`,
  );
}
