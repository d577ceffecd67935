/**
 * Regular expressions from users: RE2's syntax, in time linear in the text, whatever the pattern.
 *
 * `compileMatcher` makes a label matcher: anchored at both ends, `.` matches a newline too (Go's `^(?s:…)$`), an absent
 * label is ''. `compileRegexp` is the general one, with captures and Go's `$1` / `${name}` templates.
 *
 * Most patterns on dashboards aren't regular: a literal, `a|b|c`, `prefix.*`, `.*suffix`, `.*part.*`, `.*`, `.+` are
 * recognised (`literal.ts`) and answered with string operations; everything else goes to re2js, which this folder owns.
 * V8's RegExp never sees a user's pattern.
 *
 * Cost: compiling a pattern takes some ten microseconds, and nothing is kept here: who compiles the same pattern often
 * keeps the result. A match by re2js costs some hundred nanoseconds, a literal one ten.
 * Limits: a pattern is at most 64 KiB long. Errors: bad_data with RE2's text ("error parsing regexp: …").
 */
export { compileMatcher } from './matcher.ts'
export { compileRegexp, quoteRegexp, PATTERN_LENGTH_MAX, type Regexp, type RegexpOptions } from './regexp.ts'
