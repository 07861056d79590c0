// What the trainer needs of a file system. Knows no platform and imports nothing: Node's form is
// src/platform/files.ts, and a test may give one that lives in memory.

/** What a file gets: bytes, text, or parts that follow each other and are never joined in memory. */
export type Content = Uint8Array | string | readonly Uint8Array[];

/** A file that is read in parts, so that one larger than memory, or than an array, can be gone through. */
export interface OpenFile {
  /** Bytes. */
  readonly size: number;
  /** Bytes [from, to), which must lie inside. */
  read(from: number, to: number): Promise<Uint8Array>;
}

/** Bytes at hand as a file; what is read are views. */
export function openBytes(bytes: Uint8Array): OpenFile {
  return { size: bytes.length, read: async (from, to) => bytes.subarray(from, to) };
}

/**
 * Every fault (not found, not writable, is a folder, disk full) is a UserError whose one line names the path.
 * Paths use `/`, which Node accepts on every system.
 */
export interface Files {
  read(path: string): Promise<Uint8Array>;
  /** For reading a file in parts. */
  open(path: string): Promise<OpenFile>;
  /** UTF-8; other bytes are a UserError. A byte-order mark is dropped. */
  readText(path: string): Promise<string>;
  /** After a crash at any moment the path holds the old content or the new, never a part. */
  writeAtomic(path: string, content: Content): Promise<void>;
  /** The folder appears with all its files or not at all; an existing one is replaced. */
  writeFolderAtomic(path: string, contents: Readonly<Record<string, Content>>): Promise<void>;
  /** Appends and returns once the system has the text; a crash may leave a torn last line. */
  append(path: string, text: string): Promise<void>;
  exists(path: string): Promise<boolean>;
  /** Names inside a folder, sorted; the folder must exist. */
  list(path: string): Promise<string[]>;
  /** Removes a file or a whole folder; nothing there is no fault. */
  remove(path: string): Promise<void>;
  /** Renames a file or folder within one file system; `to` must not exist. */
  move(from: string, to: string): Promise<void>;
  /** Makes the folder and its parents, and checks that it can be written to. */
  makeFolder(path: string): Promise<void>;
}

/** Small texts that are kept between runs and may vanish at any time, since what they say can be found out again. */
export interface Cache {
  /** Where a text is kept, for messages. */
  place(name: string): string;
  /** The text, or undefined where there is none; a fault is a UserError that names its place. */
  read(name: string): Promise<string | undefined>;
  /** Whole or not at all, also where several processes write. Faults as above. */
  write(name: string, text: string): Promise<void>;
}
