/** Shapes, ranks or lengths that do not fit together. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError';
}
/** An option, flag or argument outside what is defined. */
export class OptionError extends Error {
  override readonly name = 'OptionError';
}
/** Something this mechanism or device does not do. */
export class CapabilityError extends Error {
  override readonly name = 'CapabilityError';
}
export class OutOfMemoryError extends Error {
  override readonly name = 'OutOfMemoryError';
}
/** A number that must be finite is not, or a check of numbers failed. */
export class NumericsError extends Error {
  override readonly name = 'NumericsError';
}
/** A compiler, worker or device that failed. */
export class DeviceError extends Error {
  override readonly name = 'DeviceError';
}
/** A file that is missing, unreadable or not in the expected format. */
export class FormatError extends Error {
  override readonly name = 'FormatError';
}
