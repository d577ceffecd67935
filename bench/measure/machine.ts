/** Where and of what a result was measured. */
import { spawnSync } from 'node:child_process'
import { cpus, loadavg, totalmem } from 'node:os'

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryBytes: number
  readonly node: string
  readonly kernel: string
  /** Of the minute before the bench began: others at work on the machine show here. */
  readonly loadAverage: number
}

export function machine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    node: process.version,
    kernel: process.platform === 'linux' ? spawnSync('uname', ['-r'], { encoding: 'utf8' }).stdout.trim() : process.platform,
    loadAverage: loadavg()[0]!,
  }
}

export interface Commit {
  /** '' outside a repository. */
  readonly id: string
  /** Whether the tree differs from it. */
  readonly isDirty: boolean
}

export function commitOf(folder: string): Commit {
  const git = (...args: string[]): string => spawnSync('git', ['-C', folder, ...args], { encoding: 'utf8' }).stdout.trim()
  return { id: git('rev-parse', 'HEAD'), isDirty: git('status', '--porcelain', '--untracked-files=no') !== '' }
}
