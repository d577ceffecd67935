/** Which neighbouring files are worth merging: checkpoints write what a minute brought, searches want megabytes. */

/** A merged file holds at most this many bytes of lines; a file past half of it is left alone. */
const MERGED_BYTES_MAX = 64 * 1024 * 1024
const INPUTS_MIN = 4
const INPUTS_MAX = 64

/** The first run of neighbours worth merging, as [from, to) of `rawBytes`; undefined where there is none. */
export function runToMerge(rawBytes: readonly number[]): { from: number; to: number } | undefined {
  let from = 0
  let sum = 0
  for (let i = 0; i <= rawBytes.length; i++) {
    const bytes = rawBytes[i] ?? Infinity
    const fits = bytes <= MERGED_BYTES_MAX / 2 && sum + bytes <= MERGED_BYTES_MAX && i - from < INPUTS_MAX
    if (fits) {
      sum += bytes
      continue
    }
    if (i - from >= INPUTS_MIN) return { from, to: i }
    from = bytes <= MERGED_BYTES_MAX / 2 ? i : i + 1
    sum = bytes <= MERGED_BYTES_MAX / 2 ? bytes : 0
  }
  return undefined
}
