/** Tests whose subject is kernels run natively every time. What stands above uses them as they are: natively in the full run. */
export const isOfKernels = (path: string): boolean =>
  /\btests[\\/](?:codegen|contract|devices|kernels|ops|tensor)[\\/]/.test(path);
