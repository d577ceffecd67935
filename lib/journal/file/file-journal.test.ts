import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { describeJournal, readAll, recordOf } from '../contract.ts'
import { openFileJournal, realDisk, type AppendFile, type FileJournalOptions, type Journal, type JournalDisk } from '../index.ts'

const folders: string[] = []

afterEach(() => {
  for (const dir of folders.splice(0)) rmSync(dir, { recursive: true, force: true })
})

function newFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'sightline-journal-'))
  folders.push(dir)
  return dir
}

function optionsOf(dir: string, more: Partial<FileJournalOptions> = {}): FileJournalOptions {
  return {
    dir,
    partitions: 4,
    segmentBytes: 1024 * 1024,
    bytesMax: 1024 * 1024 * 1024,
    onFull: 'push_back',
    queueBytesMax: 64 * 1024 * 1024,
    producer: 'test',
    onFatal: () => {},
    ...more,
  }
}

/** As `kill -9` leaves it: the lock of a dead process beside the files. */
async function crash(journal: Journal, dir: string): Promise<void> {
  await journal.close()
  writeFileSync(join(dir, 'LOCK'), '999999999 1 gone')
}

describeJournal('file', async () => {
  const dir = newFolder()
  return { open: () => openFileJournal(optionsOf(dir)), crash: (journal) => crash(journal, dir) }
})

const fromStart = [{ signal: 'logs', partition: 0, fromOffset: 0 }] as const

async function textsIn(journal: Journal): Promise<string[]> {
  return (await readAll(journal, fromStart)).map((record) => Buffer.from(record.payload).toString())
}

/** A journal of five records, closed; its folder and its one segment's bytes. */
async function fiveRecords(): Promise<{ dir: string; path: string; bytes: Buffer }> {
  const dir = newFolder()
  const journal = await openFileJournal(optionsOf(dir))
  for (let i = 0; i < 5; i++) await journal.append('logs', 0, recordOf(`record number ${i}`))
  await journal.close()
  const path = join(
    dir,
    readdirSync(dir).find((name) => name.endsWith('.log'))!,
  )
  return { dir, path, bytes: readFileSync(path) }
}

describe('the torn tail', () => {
  test('cut at every byte: whole records stay, the rest is cut off and reported, and appending goes on', async () => {
    const { dir, path, bytes } = await fiveRecords()
    const all = Array.from({ length: 5 }, (_, i) => `record number ${i}`)
    for (let cut = bytes.length - 1; cut > 0; cut -= 7) {
      writeFileSync(path, bytes.subarray(0, cut))
      const journal = await openFileJournal(optionsOf(dir))
      const texts = await textsIn(journal)
      expect(texts).toEqual(all.slice(0, texts.length))
      const { offset } = await journal.append('logs', 0, recordOf('after'))
      expect(offset).toBe(texts.length)
      expect(await textsIn(journal)).toEqual([...texts, 'after'])
      await journal.close()
      for (const name of readdirSync(dir)) unlinkSync(join(dir, name))
    }
  })

  test('a flipped bit costs the record it hits and none behind it', async () => {
    const { dir, path, bytes } = await fiveRecords()
    const at = bytes.indexOf('record number 2')
    bytes[at] = bytes[at]! ^ 1
    writeFileSync(path, bytes)
    const journal = await openFileJournal(optionsOf(dir))
    expect(await textsIn(journal)).toEqual([0, 1, 3, 4].map((i) => `record number ${i}`))
    expect(journal.stats().tornBytes).toBeGreaterThan(0)
    expect(journal.endOffset('logs', 0)).toBe(5)
    await journal.close()
  })

  test('a flipped bit anywhere never brings back a record that was not written', async () => {
    const { dir, path, bytes } = await fiveRecords()
    const written = new Set(Array.from({ length: 5 }, (_, i) => `record number ${i}`))
    const outcomes = new Set<string>()
    for (let i = 0; i < 60; i++) {
      const flipped = Buffer.from(bytes)
      const at = 16 + ((i * 7919) % (bytes.length - 16))
      flipped[at] = flipped[at]! ^ (1 << (i % 8))
      writeFileSync(path, flipped)
      outcomes.add(await outcomeOf(dir, written))
    }
    expect([...outcomes].filter((outcome) => outcome !== 'corruption' && outcome !== 'only written records')).toEqual([])
  })

  test('an unknown format version is refused by name', async () => {
    const { dir, path, bytes } = await fiveRecords()
    bytes[7] = 9
    writeFileSync(path, bytes)
    await expect(openFileJournal(optionsOf(dir))).rejects.toThrow('format version 9 is unknown')
  })
})

/** What opening the journal comes to: the kind of its error, or whether all it holds was written. */
async function outcomeOf(dir: string, written: ReadonlySet<string>): Promise<string> {
  let journal: Journal
  try {
    journal = await openFileJournal(optionsOf(dir))
  } catch (error) {
    return (error as { kind?: string }).kind ?? String(error)
  }
  const texts = await textsIn(journal)
  await journal.close()
  return texts.find((text) => !written.has(text)) ?? 'only written records'
}

describe('segments', () => {
  test('are deleted only behind all cursors, and offsets go on when all are gone', async () => {
    const dir = newFolder()
    const journal = await openFileJournal(optionsOf(dir, { segmentBytes: 2000 }))
    const slow = journal.cursor('slow')
    const fast = journal.cursor('fast')
    slow.advance('logs/0', 0)
    for (let i = 0; i < 40; i++) await journal.append('logs', 0, recordOf('x'.repeat(200)))
    fast.advance('logs/0', 40)
    expect(await journal.deletePassed()).toBe(0)
    slow.advance('logs/0', 30)
    expect(await journal.deletePassed()).toBeGreaterThan(0)
    expect((await readAll(journal, [{ signal: 'logs', partition: 0, fromOffset: 30 }])).length).toBe(10)
    await expect(readAll(journal, fromStart)).rejects.toThrow(/records 0 to \d+ are gone/)
    slow.remove()
    await journal.deletePassed()
    await journal.close()
    const again = await openFileJournal(optionsOf(dir, { segmentBytes: 2000 }))
    expect((await again.append('logs', 0, recordOf('y'))).offset).toBe(40)
    expect(again.startOffset('logs', 0)).toBeGreaterThanOrEqual(30)
    await again.close()
  })

  test('a missing or stale index is made again by a scan', async () => {
    const dir = newFolder()
    const journal = await openFileJournal(optionsOf(dir, { segmentBytes: 2000 }))
    for (let i = 0; i < 40; i++) await journal.append('logs', 0, recordOf(`${i} ${'x'.repeat(200)}`))
    const before = await textsIn(journal)
    await journal.close()
    for (const name of readdirSync(dir).filter((n) => n.endsWith('.idx'))) writeFileSync(join(dir, name), 'rubbish')
    const again = await openFileJournal(optionsOf(dir, { segmentBytes: 2000 }))
    expect(await textsIn(again)).toEqual(before)
    await again.close()
  })

  test('another partition count is refused', async () => {
    const { dir } = await fiveRecords()
    await expect(openFileJournal(optionsOf(dir, { partitions: 8 }))).rejects.toThrow('it was made with 13')
  })
})

describe('limits and faults', () => {
  test('a full journal pushes back with a time to wait, and takes again once records are passed', async () => {
    const journal = await openFileJournal(optionsOf(newFolder(), { segmentBytes: 2000, bytesMax: 6000 }))
    const cursor = journal.cursor('store')
    cursor.advance('logs/0', 0)
    let appended = 0
    const fill = async (): Promise<void> => {
      for (;;) {
        await journal.append('logs', 0, recordOf('x'.repeat(500)))
        appended++
      }
    }
    await expect(fill()).rejects.toMatchObject({ kind: 'too_many', retryAfterMs: 1000 })
    expect(journal.stats().rejectedFull).toBe(1)
    cursor.advance('logs/0', appended)
    await journal.deletePassed()
    expect((await journal.append('logs', 0, recordOf('x'))).offset).toBe(appended)
    await journal.close()
  })

  test('drop_oldest makes room and counts what went', async () => {
    const journal = await openFileJournal(optionsOf(newFolder(), { segmentBytes: 2000, bytesMax: 6000, onFull: 'drop_oldest' }))
    for (let i = 0; i < 50; i++) await journal.append('logs', 0, recordOf('x'.repeat(500)))
    expect(journal.stats().droppedRecords).toBe(journal.startOffset('logs', 0))
    expect(journal.stats().droppedRecords).toBeGreaterThan(20)
    await journal.close()
  })

  test('a full disk rejects what did not fit, keeps what was there, and takes more when there is room', async () => {
    const dir = newFolder()
    const disk = new FaultyDisk()
    const journal = await openFileJournal(optionsOf(dir, { disk }))
    await journal.append('logs', 0, recordOf('first'))
    disk.writeError = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    await expect(journal.append('logs', 0, recordOf('lost'))).rejects.toMatchObject({ kind: 'unavailable', retriable: true })
    disk.writeError = undefined
    expect((await journal.append('logs', 0, recordOf('second'))).offset).toBe(1)
    await crash(journal, dir)
    const again = await openFileJournal(optionsOf(dir))
    expect(await textsIn(again)).toEqual(['first', 'second'])
    expect(again.stats().tornBytes).toBe(0)
    await again.close()
  })

  test('a failed sync is fatal: nothing is acknowledged afterwards', async () => {
    const disk = new FaultyDisk()
    const fatal: string[] = []
    const journal = await openFileJournal(optionsOf(newFolder(), { disk, onFatal: (error) => fatal.push(error.message) }))
    disk.syncError = new Error('input/output error')
    await expect(journal.append('logs', 0, recordOf('x'))).rejects.toThrow('its state on disk is unknown')
    disk.syncError = undefined
    await expect(journal.append('logs', 0, recordOf('y'))).rejects.toThrow('its state on disk is unknown')
    expect(fatal.length).toBe(1)
    await journal.close()
  })

  test('a second writer is refused while the first lives', async () => {
    const dir = newFolder()
    const journal = await openFileJournal(optionsOf(dir))
    await expect(openFileJournal(optionsOf(dir))).rejects.toMatchObject({ kind: 'conflict' })
    await journal.close()
    await (await openFileJournal(optionsOf(dir))).close()
  })

  test('many appenders share syncs', async () => {
    const journal = await openFileJournal(optionsOf(newFolder()))
    await Promise.all(Array.from({ length: 500 }, (_, i) => journal.append('logs', i % 4, recordOf('x'))))
    expect(journal.stats().syncs).toBeLessThan(50)
    await journal.close()
  })
})

describe('kill -9', () => {
  test('nothing that was acknowledged is lost, at whatever instant it comes', async () => {
    for (let round = 0; round < 3; round++) {
      const dir = newFolder()
      const acked = await writeUntilKilled(dir, 150 + round * 70)
      const journal = await openFileJournal(optionsOf(dir))
      const texts = new Set(await textsIn(journal))
      expect(acked.length).toBeGreaterThan(0)
      expect(acked.filter((text) => !texts.has(text))).toEqual([])
      await journal.close()
    }
  })
})

/** Runs a writer process that prints each record once it resolved, and kills it; returns what it printed. */
async function writeUntilKilled(dir: string, afterMs: number): Promise<string[]> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'kill-writer.ts'), dir], { stdio: ['ignore', 'pipe', 'inherit'] })
  let out = ''
  let timer: NodeJS.Timeout | undefined
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString()
    timer ??= setTimeout(() => child.kill('SIGKILL'), afterMs)
  })
  await new Promise((resolve) => child.on('close', resolve))
  // The last line may be cut: it is not counted as printed.
  return out.split('\n').slice(0, -1)
}

class FaultyDisk implements JournalDisk {
  writeError: Error | undefined
  syncError: Error | undefined

  async openAppend(path: string, bytes: number): Promise<AppendFile> {
    const file = await realDisk.openAppend(path, bytes)
    return {
      write: async (buffers) => {
        if (this.writeError === undefined) return file.write(buffers)
        // A full disk takes a part before it refuses the rest.
        await file.write([buffers[0]!.subarray(0, 10)])
        throw this.writeError
      },
      sync: async () => {
        if (this.syncError !== undefined) throw this.syncError
        await file.sync()
      },
      truncate: (to) => file.truncate(to),
      close: () => file.close(),
    }
  }

  syncFolder(dir: string): Promise<void> {
    return realDisk.syncFolder(dir)
  }
}

test('a copied folder is read like the original', async () => {
  const { dir, path } = await fiveRecords()
  const copy = newFolder()
  copyFileSync(path, join(copy, path.slice(dir.length + 1)))
  const journal = await openFileJournal(optionsOf(copy))
  expect((await textsIn(journal)).length).toBe(5)
  await journal.close()
})
