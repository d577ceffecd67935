/**
 * Tailing container logs: every line once, through rotation and `kill -9`.
 *
 * A file is told by inode and beginning (`identity.ts`), its bytes become lines without state (`split.ts`), and a journal record carries lines
 * together with the position behind them (`tailed-file.ts`): both are durable or neither. There is no second truth; `positions.ts` only saves reading the
 * journal from its start. Push-back pauses the reading, the files are the buffer. What a rotation took before it could be read is counted.
 *
 * Limits: open files a source, bytes a line, bytes a record; a join of partial lines waits five seconds at most.
 */
export { Positions, type FilePosition, type PositionJournal } from './positions.ts'
export { Tailer, type TailerDeps, type TailStatus } from './tailer.ts'
