import { fileURLToPath } from 'node:url';

const asset = (name: string): string => fileURLToPath(new URL(`../../assets/${name}`, import.meta.url));

/** The novel that comes with the package. */
export const BUNDLED_TEXT = asset('pride-and-prejudice.txt');

/** A small decoder over bytes that comes with the package; how it was trained stands beside it. */
export const BUNDLED_MODEL = asset('model.safetensors');

/** An encoder over bytes of the same size, trained to find bytes that are hidden from it. */
export const BUNDLED_ENCODER = asset('encoder.safetensors');
