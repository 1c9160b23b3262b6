import { nodeResolve } from '@rollup/plugin-node-resolve';
import { build as esbuild, transform } from 'esbuild';
import { dirname, basename } from 'node:path';
import { rollup } from 'rollup';
import { build as vite } from 'vite';
import webpack from 'webpack';

/** Bundles `entry` for browsers, minified, as the module `output`; returns what it warned of. */
export type Bundler = (entry: string, output: string) => Promise<readonly string[]>;

/** As their documentation sets them up for a page, and no option for our sake. */
export const bundlers: Readonly<Record<string, Bundler>> = {
  async esbuild(entry, output) {
    const { warnings } = await esbuild({
      entryPoints: [entry],
      outfile: output,
      bundle: true,
      minify: true,
      format: 'esm',
      logLevel: 'silent',
    });
    return warnings.map(({ text }) => text);
  },

  async vite(entry, output) {
    const warnings: string[] = [];
    await vite({
      root: dirname(entry),
      configFile: false,
      logLevel: 'silent',
      build: {
        outDir: dirname(output),
        emptyOutDir: false,
        lib: { entry, formats: ['es'], fileName: () => basename(output) },
        minify: true,
        rollupOptions: { onwarn: ({ message }) => warnings.push(message) },
      },
    });
    return warnings;
  },

  webpack: (entry, output) =>
    new Promise((resolve, reject) => {
      const compiler = webpack({
        mode: 'production',
        entry,
        experiments: { outputModule: true },
        output: { path: dirname(output), filename: basename(output), library: { type: 'module' } },
        performance: false,
      });
      compiler.run((error, stats) => {
        compiler.close(() => {});
        if (error) return reject(error);
        const { errors = [], warnings = [] } = stats!.toJson({ errors: true, warnings: true });
        if (errors.length > 0) return reject(new Error(errors.map(({ message }) => message).join('\n')));
        resolve(warnings.map(({ message }) => message));
      });
    }),

  async rollup(entry, output) {
    const warnings: string[] = [];
    const bundle = await rollup({
      input: entry,
      plugins: [nodeResolve({ browser: true })],
      onwarn: ({ message }) => warnings.push(message),
    });
    const minify = {
      name: 'minify',
      renderChunk: async (code: string) => ({ code: (await transform(code, { minify: true })).code, map: null }),
    };
    await bundle.write({ dir: dirname(output), entryFileNames: basename(output), format: 'es', plugins: [minify] });
    await bundle.close();
    return warnings;
  },
};
