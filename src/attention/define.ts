import { OptionError } from '../core/errors.js';
import { definitionFaults } from './check-definition.js';
import type { AttentionDefinition, Supports } from './definition.js';
import { Mechanism } from './mechanism.js';
import type { OptionSpecs } from './options.js';

export * from './definition.js';

/**
 * A mechanism from its definition. Its options, checks, cost, decoder, command-line flags, help and tables follow from it.
 *
 * @throws OptionError for a definition that is incomplete or contradicts itself, with every reason.
 */
export function defineAttention<
  const O extends OptionSpecs,
  const S extends Supports,
  P extends string = never,
  I extends string = never,
>(definition: AttentionDefinition<O, P, I, S>): Mechanism<O, P, I, S> {
  const own = Object(definition) as AttentionDefinition;
  const faults = definitionFaults(own);
  if (faults.length > 0)
    throw new OptionError(
      `defineAttention: ${typeof own.name === 'string' ? `${own.name}: ` : ''}${faults.join('; ')}.`,
    );
  return new Mechanism(definition);
}
