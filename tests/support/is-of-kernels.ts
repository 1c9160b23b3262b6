/**
 * Tests whose subject is machine code run natively every time: how texts become code, and the kernels that have tiles of their own.
 * What stands above, and operations that a loop over vectors says, use them as they are: natively in the full run.
 */
export const isOfKernels = (path: string): boolean =>
  /\btests[\\/](?:codegen|contract|devices|kernels|tensor)[\\/]/.test(path) ||
  /\bops[\\/](?:attend-golden|attend-random|attend-gathered|linear-attend|grouped-matmul|matmul)\./.test(path);
