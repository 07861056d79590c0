// The faults a device can report, by name. Knows WebGPU's error kinds; knows nothing of tensors or ops.

/** A device fault; `kernel` is the label of the kernel or resource it concerns, where that is known. */
export class GpuError extends Error {
  override readonly name: string = 'GpuError';
  readonly kernel: string | undefined;
  constructor(message: string, kernel?: string) {
    super(kernel ? `${kernel}: ${message}` : message);
    this.kernel = kernel;
  }
}

/** The device refused a command: a binding, size or usage is wrong. A fault of the program. */
export class GpuValidationError extends GpuError {
  override readonly name = 'GpuValidationError';
}

/** A buffer did not fit in the device's memory or in its limits. */
export class GpuOutOfMemoryError extends GpuError {
  override readonly name = 'GpuOutOfMemoryError';
}

/** The device is gone (driver reset, unplugged, destroyed); nothing on it can be used again. */
export class GpuLostError extends GpuError {
  override readonly name = 'GpuLostError';
}

/** A shader did not compile; the message quotes the file's own lines. */
export class GpuCompileError extends GpuError {
  override readonly name = 'GpuCompileError';
}
