import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exportPretrained, loadPretrained } from '../../src/pretrained/index.js';
import { nodeFiles, Safetensors } from '../../src/train/checkpoint/index.js';
import { onWebAssemblyFirst } from '../support/devices.js';
import { folderOf, weightsOf } from './made.js';
import { madeEncoders } from './families/made-encoders.js';

onWebAssemblyFirst((on) => {
  test.each([true, false])(
    'tensors that a class has no use for are written again while their file is there: %s',
    async (there) => {
      const made = madeEncoders['BERT as a decoder']!;
      const weights = weightsOf({
        ...made.shapes,
        'bert.pooler.dense.weight': [16, 16],
        'bert.pooler.dense.bias': [16],
      });
      const folder = folderOf(made.config, weights);
      const out = join(mkdtempSync(join(tmpdir(), 'subquad-export-')), 'out');
      const loaded = await loadPretrained(folder, { device: on.device });
      expect(loaded.unused).toEqual(['bert.pooler.dense.weight', 'bert.pooler.dense.bias']);
      if (!there) rmSync(folder, { recursive: true });
      await exportPretrained(out, loaded);
      const file = await Safetensors.open(await nodeFiles.open(join(out, 'model.safetensors'), 'read'), 'out');
      const wanted = [...weights.keys()].filter((name) => there || !name.startsWith('bert.pooler'));
      expect([...file.entries.keys()].sort()).toEqual(wanted.sort());
      for (const name of wanted) {
        const numbers = new Float32Array((await file.read(name)).buffer);
        expect(numbers, name).toEqual(weights.get(name)!.data);
      }
      await file.close();
      loaded.model.dispose();
      rmSync(join(out, '..'), { recursive: true });
      if (there) rmSync(folder, { recursive: true });
    },
  );
});
