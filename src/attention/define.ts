import { OptionError } from '../core/errors.js';
import { commonOptions } from './call.js';
import type { AttentionDefinition, Supports } from './definition.js';
import { Mechanism } from './mechanism.js';
import type { OptionSpecs } from './options.js';

export * from './definition.js';

/**
 * A mechanism from its definition. Its options, checks, cost, decoder, command-line flags, help and tables follow from it.
 *
 * @throws OptionError for a definition that contradicts itself.
 */
export function defineAttention<
  const O extends OptionSpecs,
  const S extends Supports,
  P extends string = never,
  I extends string = never,
>(definition: AttentionDefinition<O, P, I, S>): Mechanism<O, P, I, S> {
  const { name, options, supports, recurrence, parameters, forward, pattern } = definition;
  const faults = [
    !/^[a-z][a-z0-9-]*$/.test(name) && 'the name must be lower case with hyphens',
    ...Object.keys(options).map((key) => commonOptions.includes(key) && `option ${key} is one of every call`),
    forward === undefined && pattern === undefined && 'it needs forward or pattern',
    forward === undefined && parameters !== undefined && 'parameters need a forward that uses them',
    (supports.decode === 'recurrent') !== (recurrence !== undefined) && 'decode "recurrent" and recurrence go together',
    supports.decode !== false && supports.causal === false && 'decoding needs causal attention',
  ].filter((fault) => fault !== false);
  if (faults.length > 0) throw new OptionError(`defineAttention: ${name}: ${faults.join('; ')}.`);
  return new Mechanism(definition);
}
