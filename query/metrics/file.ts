/**
 * Files of the metrics store: written once, read in pages, every byte under a checksum (docs/formats/metrics.md).
 *
 *   0      4         5      6        8                      directory at        …            …                    end
 *   +------+---------+------+--------+----------------------+------------------+------------+--------------------+
 *   | SLMF | version | kind | zeros  | body                 | directory (JSON) | page sums  | trailer (24 bytes) |
 *   +------+---------+------+--------+----------------------+------------------+------------+--------------------+
 *
 * The bytes before the page sums are pages of 64 KiB; page sum i is the CRC-32 of page i. Pages are read when they are needed and kept in a bounded cache.
 */
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import { basename } from 'node:path'
import { crc32 } from 'node:zlib'

import { SightlineError } from '../../lib/runtime/errors.ts'
import type { ByteSource } from './chunk.ts'
import { blockOf, type Block } from './values.ts'

export const PAGE_BYTES = 64 * 1024
const HEAD_BYTES = 8
const TRAILER_BYTES = 24
/** 'SLMF' read as a little-endian number. */
const MAGIC = 0x46_4d_4c_53
const VERSION = 1
const DIRECTORY_BYTES_MAX = 256 * 1024 * 1024

export const KIND_CHUNKS = 1
export const KIND_HOT = 2
export const KIND_BLOCK = 3

/** Writes one file front to back, synchronously; syncing it is the caller's. */
export class FileWriter {
  readonly path: string
  readonly fd: number
  readonly #page = Buffer.alloc(PAGE_BYTES)
  readonly #sums: number[] = []
  #used = 0
  #written = 0

  constructor(path: string, kind: number) {
    this.path = path
    this.fd = openSync(path, 'w+')
    const head = Buffer.alloc(HEAD_BYTES)
    head.writeUInt32LE(MAGIC, 0)
    head.writeUInt8(VERSION, 4)
    head.writeUInt8(kind, 5)
    this.write(head)
  }

  get position(): number {
    return this.#written + this.#used
  }

  /** Returns where the bytes went. */
  write(bytes: Uint8Array): number {
    const at = this.position
    let from = 0
    while (from < bytes.length) {
      const count = Math.min(bytes.length - from, PAGE_BYTES - this.#used)
      this.#page.set(bytes.subarray(from, from + count), this.#used)
      this.#used += count
      from += count
      if (this.#used === PAGE_BYTES) this.#flush()
    }
    return at
  }

  /** The same, at a multiple of 4. */
  writeAligned(bytes: Uint8Array): number {
    this.write(new Uint8Array(-this.position & 3))
    return this.write(bytes)
  }

  close(): void {
    closeSync(this.fd)
  }

  /** Ends the file and returns its size. The descriptor stays open until `close`. */
  finish(directory: unknown): number {
    const text = Buffer.from(JSON.stringify(directory))
    const directoryAt = this.write(text)
    this.#flush()
    const sums = Buffer.alloc(this.#sums.length * 4)
    this.#sums.forEach((sum, i) => sums.writeUInt32LE(sum, i * 4))
    const trailer = Buffer.alloc(TRAILER_BYTES)
    trailer.writeDoubleLE(directoryAt, 0)
    trailer.writeUInt32LE(text.length, 8)
    trailer.writeUInt32LE(crc32(sums), 12)
    trailer.writeUInt32LE(crc32(trailer.subarray(0, 16)), 16)
    trailer.writeUInt32LE(MAGIC, 20)
    writeAll(this.fd, sums)
    writeAll(this.fd, trailer)
    return this.#written + sums.length + trailer.length
  }

  #flush(): void {
    if (this.#used === 0) return
    const page = this.#page.subarray(0, this.#used)
    this.#sums.push(crc32(page))
    writeAll(this.fd, page)
    this.#written += this.#used
    this.#used = 0
  }
}

/** Pages of all files of a store, the ones used longest ago leave first. */
export class PageCache {
  readonly #bytesMax: number
  readonly #pages = new Map<number, Block>()
  #bytes = 0
  #nextFile = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  newFile(): number {
    return this.#nextFile++
  }

  get bytes(): number {
    return this.#bytes
  }

  page(file: number, page: number, load: () => Uint8Array): Block {
    const key = file * 2 ** 26 + page
    let block = this.#pages.get(key)
    if (block !== undefined) {
      this.#pages.delete(key)
      this.#pages.set(key, block)
      return block
    }
    block = blockOf(load())
    this.#pages.set(key, block)
    this.#bytes += PAGE_BYTES
    for (const oldest of this.#pages.keys()) {
      if (this.#bytes <= this.#bytesMax) break
      this.#pages.delete(oldest)
      this.#bytes -= PAGE_BYTES
    }
    return block
  }

  forget(file: number): void {
    for (const key of this.#pages.keys()) {
      if (Math.floor(key / 2 ** 26) !== file) continue
      this.#pages.delete(key)
      this.#bytes -= PAGE_BYTES
    }
  }
}

/** A file that is open for reading. Errors: `corruption` where it isn't what was written, by name. */
export class StoredFile implements ByteSource {
  readonly path: string
  readonly kind: number
  readonly directory: unknown
  readonly bytes: number
  readonly #fd: number
  readonly #cache: PageCache
  readonly #number: number
  readonly #sums: Uint32Array
  /** End of the pages. */
  readonly #end: number
  #users = 1
  /** The page read last: most reads go on where the one before ended. */
  #lastPage = -1
  #lastBlock: Block | undefined

  constructor(path: string, cache: PageCache) {
    this.path = path
    this.#cache = cache
    this.#number = cache.newFile()
    this.#fd = openSync(path, 'r')
    try {
      this.bytes = fstatSync(this.#fd).size
      const trailer = this.#trailer()
      const sums = this.#exactly(this.bytes - TRAILER_BYTES - trailer.sumBytes, trailer.sumBytes)
      if (crc32(sums) !== trailer.sumsSum) throw this.#corrupt('its page sums have another checksum')
      this.#sums = blockOf(sums).words
      this.#end = this.bytes - TRAILER_BYTES - trailer.sumBytes
      const head = this.read(0, HEAD_BYTES)
      this.kind = head.block.bytes[5]!
      const { block, at } = this.read(trailer.directoryAt, trailer.directoryBytes)
      this.directory = JSON.parse(Buffer.from(block.bytes.subarray(at, at + trailer.directoryBytes)).toString('utf8'))
    } catch (error) {
      closeSync(this.#fd)
      throw error
    }
  }

  read(offset: number, bytes: number): { block: Block; at: number } {
    if (offset < 0 || offset + bytes > this.#end) throw this.#corrupt(`there are no ${bytes} bytes at ${offset}`)
    const first = Math.floor(offset / PAGE_BYTES)
    const at = offset - first * PAGE_BYTES
    if (at + bytes <= PAGE_BYTES) return { block: this.#page(first), at }
    const joined = new Uint8Array(bytes)
    let filled = 0
    for (let page = first; filled < bytes; page++) {
      const from = page === first ? at : 0
      const part = this.#page(page).bytes.subarray(from, from + bytes - filled)
      joined.set(part, filled)
      filled += part.length
    }
    return { block: blockOf(joined), at: 0 }
  }

  /** A copy of a range. */
  copy(offset: number, bytes: number): Uint8Array<ArrayBuffer> {
    const { block, at } = this.read(offset, bytes)
    return new Uint8Array(block.bytes.subarray(at, at + bytes))
  }

  /** The file stays open until as many `release` were called. */
  retain(): void {
    this.#users++
  }

  release(): void {
    if (--this.#users > 0) return
    this.#cache.forget(this.#number)
    closeSync(this.#fd)
  }

  #page(page: number): Block {
    if (page === this.#lastPage) return this.#lastBlock!
    this.#lastBlock = this.#cachedPage(page)
    this.#lastPage = page
    return this.#lastBlock
  }

  #cachedPage(page: number): Block {
    return this.#cache.page(this.#number, page, () => {
      const offset = page * PAGE_BYTES
      const bytes = this.#exactly(offset, Math.min(PAGE_BYTES, this.#end - offset))
      if (crc32(bytes) !== this.#sums[page]) throw this.#corrupt(`page ${page} has another checksum`)
      return bytes
    })
  }

  #trailer(): { directoryAt: number; directoryBytes: number; sumsSum: number; sumBytes: number } {
    if (this.bytes < HEAD_BYTES + TRAILER_BYTES) throw this.#corrupt(`it has only ${this.bytes} bytes`)
    const head = Buffer.from(this.#exactly(0, HEAD_BYTES).buffer)
    if (head.readUInt32LE(0) !== MAGIC) throw this.#corrupt('it is no file of the metrics store')
    const version = head.readUInt8(4)
    if (version !== VERSION) throw this.#corrupt(`format version ${version} is not known, only ${VERSION}`)
    const trailer = Buffer.from(this.#exactly(this.bytes - TRAILER_BYTES, TRAILER_BYTES).buffer)
    if (trailer.readUInt32LE(20) !== MAGIC || trailer.readUInt32LE(16) !== crc32(trailer.subarray(0, 16)))
      throw this.#corrupt('its end is damaged')
    const directoryAt = trailer.readDoubleLE(0)
    const directoryBytes = trailer.readUInt32LE(8)
    if (directoryBytes > DIRECTORY_BYTES_MAX) throw this.#corrupt(`its directory has ${directoryBytes} bytes`)
    const sumBytes = Math.ceil((directoryAt + directoryBytes) / PAGE_BYTES) * 4
    return { directoryAt, directoryBytes, sumsSum: trailer.readUInt32LE(12), sumBytes }
  }

  #exactly(offset: number, length: number): Uint8Array<ArrayBuffer> {
    if (length < 0 || offset < 0) throw this.#corrupt('its end is damaged')
    const bytes = new Uint8Array(length)
    let filled = 0
    while (filled < length) {
      const count = readSync(this.#fd, bytes, filled, length - filled, offset + filled)
      if (count === 0) throw this.#corrupt(`it ends at ${offset + filled}`)
      filled += count
    }
    return bytes
  }

  #corrupt(cause: string): SightlineError {
    return new SightlineError('corruption', `cannot read metrics file ${basename(this.path)}: ${cause}`)
  }
}

function writeAll(fd: number, bytes: Uint8Array): void {
  let from = 0
  while (from < bytes.length) from += writeSync(fd, bytes, from, bytes.length - from)
}
