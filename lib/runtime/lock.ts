/**
 * One writer per data folder. The lock file names the process by id, start time and boot, so that a lock left by `kill -9` is recognised
 * even where ids are used again (in a container the process is always number 1).
 */
import { closeSync, mkdirSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { SightlineError } from './errors.ts'

export interface FolderLock {
  release(): void
}

/** Errors: conflict where a living process holds the folder. */
export function lockFolder(dir: string): FolderLock {
  mkdirSync(dir, { recursive: true })
  const path = join(dir, 'LOCK')
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      const fd = openSync(path, 'wx')
      writeSync(fd, identityOf(process.pid))
      closeSync(fd)
      return { release: () => unlinkSync(path) }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const holder = readFileSync(path, 'utf8')
    const pid = Number(holder.split(' ')[0])
    if (holder !== '' && identityOf(pid) === holder && isAlive(pid)) {
      throw new SightlineError('conflict', `cannot lock folder ${dir}: process ${pid} is using it`)
    }
    unlinkSync(path)
  }
  throw new SightlineError('conflict', `cannot lock folder ${dir}: another process took it meanwhile`)
}

/** `pid startTicks bootId`; the last two are empty where /proc is not to be had. */
function identityOf(pid: number): string {
  let startTicks = ''
  let bootId = ''
  try {
    // Field 22 of stat; the command (field 2) is in parentheses and may hold spaces.
    startTicks = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop()!.split(' ')[19] ?? ''
    bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    // No /proc, or no such process: the identity is then only the id.
  }
  return `${pid} ${startTicks} ${bootId}`
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
