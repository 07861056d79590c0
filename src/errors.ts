// The one error that is the user's to mend: bad input, not a fault of ours. Knows nothing else.

/**
 * A fault in what the user gave (file, flag, checkpoint, shape, adapter). The message is one line that names
 * what is wrong and what to do; entry points print it without a stack trace and exit with status 1.
 */
export class UserError extends Error {
  override readonly name = 'UserError';
}
