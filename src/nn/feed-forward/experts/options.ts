import { choice, flag, integer, number } from '../../../attention/options.js';
import type { Cost } from '../../../attention/index.js';
import type { FeedForwardSizes } from '../define.js';
import { groupTokens } from './groups.js';
import { laterPolicies } from './route.js';

/** Of every router. */
export const routerOptions = (usual: {
  readonly experts: number;
  readonly balance: number;
  readonly zLoss: number;
}) => ({
  experts: integer({ min: 1, default: usual.experts, help: 'experts of a layer' }),
  balance: number({ min: 0, default: usual.balance, help: 'weight of the loss that spreads tokens over experts' }),
  zLoss: number({ min: 0, default: usual.zLoss, help: 'weight of the loss that keeps router logits small' }),
});

/** Of routers whose experts have room for so many tokens. */
export const capacityOptions = (groupSize: number) => ({
  capacity: number({
    min: 0,
    default: 1.25,
    help: 'tokens that an expert takes in training, as a multiple of its even share',
  }),
  evaluationCapacity: number({
    min: 0,
    default: 2,
    help: 'the same in evaluation; of a step of decoding, one token has room',
  }),
  minCapacity: integer({ min: 0, default: 4, help: 'tokens that an expert takes in any case' }),
  group: choice(['sequence', 'batch'], {
    default: 'sequence',
    help: 'whose tokens share the room: those of a sequence, or of all sequences of a batch',
  }),
  groupSize: integer({ min: 0, default: groupSize, help: 'tokens of a group at most; 0: all of a sequence or batch' }),
});

/** Of routers that take two experts. */
export const secondOptions = {
  secondPolicy: choice(laterPolicies, {
    default: 'random',
    help: 'when a second expert is taken: with probability weight/threshold (in training; else always), always, above the threshold, never',
  }),
  threshold: number({ min: 1e-9, max: 1, default: 0.2, help: 'of the weight of a second expert' }),
};

/** Of layers of few experts in a token, all of which it gets. */
export const sharedOptions = {
  active: integer({ min: 1, default: 2, help: 'experts of a token' }),
  renormalise: flag({ default: true, help: 'divide the probabilities of these by their sum' }),
  shared: integer({ min: 0, default: 0, help: 'units of a dense layer beside the experts, for all tokens; 0: none' }),
  sharedGate: flag({ default: false, help: 'multiply what it gives by a gate of each token' }),
};

interface Given {
  readonly experts: number;
  readonly active: number;
  readonly capacity?: number;
  readonly evaluationCapacity?: number;
  readonly minCapacity?: number;
  readonly groupSize?: number;
}

/** Why a layer for sequences of `length` cannot be. */
export function refuseExperts({ length }: FeedForwardSizes, own: Given): readonly string[] {
  const { experts, active, capacity, evaluationCapacity, minCapacity = 1, groupSize = 0 } = own;
  const tokens = groupTokens(length, { group: 'sequence', groupSize });
  const small = Object.entries({ capacity, evaluationCapacity }).find(
    ([, factor]) => factor !== undefined && minCapacity < 1 && tokens * factor < experts,
  );
  return [
    experts > tokens &&
      `experts must be at most the ${tokens} tokens of a group; got ${experts}: take fewer, or longer groups`,
    active > experts && `active must be at most the ${experts} experts; got ${active}`,
    small &&
      `${small[0]} ${small[1]} of ${tokens} tokens for ${experts} experts is less than one token an expert; take ${experts / tokens} or more, or a minCapacity of 1`,
  ].filter((reason) => typeof reason === 'string');
}

/** Router, experts, and the sum of what they give. */
export function costOfExperts(
  { features, hidden, gated, length }: FeedForwardSizes,
  {
    experts,
    active,
    shared = 0,
    sharedGate = false,
    dense = 'none',
  }: Given & { readonly shared?: number; readonly sharedGate?: boolean; readonly dense?: string },
): Cost {
  const products = gated ? 3 : 2;
  const ofToken =
    experts +
    active * (products * hidden + 1) +
    products * (shared + (dense === 'none' ? 0 : hidden)) +
    (shared > 0 && sharedGate ? 1 : 0);
  return { multiplyAdds: length * features * ofToken };
}
