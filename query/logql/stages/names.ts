/** Field names as label names: everything but letters, digits and `_` becomes `_`; a leading digit gets one in front. */
const VALID = /^[A-Za-z_][A-Za-z0-9_]*$/

export function sanitizeName(name: string, isStart = true): string {
  if (VALID.test(name)) return name
  const clean = name.trim().replaceAll(/[^A-Za-z0-9_]/gu, '_')
  return isStart && /^\d/.test(clean) ? `_${clean}` : clean
}
