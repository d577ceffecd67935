/**
 * Go's `Regexp.Expand`: `$1`, `$name`, `${name}` stand for groups ('' where there is none), `$$` for a dollar sign. A name
 * without braces is as long as letters, digits and underscores go, so `$1x` is the group named `1x`. A dollar sign that
 * begins none of these stays.
 */
export function expandTemplate(template: string, groups: readonly (string | undefined)[], groupNames: ReadonlyMap<string, number>): string {
  let out = ''
  let at = 0
  for (;;) {
    const dollar = template.indexOf('$', at)
    if (dollar === -1) return out + template.slice(at)
    out += template.slice(at, dollar)
    if (template[dollar + 1] === '$') {
      out += '$'
      at = dollar + 2
      continue
    }
    const reference = parseReference(template, dollar + 1)
    if (reference === null) {
      out += '$'
      at = dollar + 1
      continue
    }
    const index = /^[0-9]+$/.test(reference.name) ? Number(reference.name) : groupNames.get(reference.name)
    out += index === undefined ? '' : (groups[index] ?? '')
    at = reference.end
  }
}

function parseReference(template: string, at: number): { name: string; end: number } | null {
  const braced = template[at] === '{'
  const start = braced ? at + 1 : at
  let end = start
  while (end < template.length && /[\p{L}\p{Nd}_]/u.test(template[end]!)) end++
  if (end === start) return null
  if (!braced) return { name: template.slice(start, end), end }
  return template[end] === '}' ? { name: template.slice(start, end), end: end + 1 } : null
}
