/**
 * What `/metrics` endpoints say: Prometheus text 0.0.4 and OpenMetrics 1.0, bytes to numbers.
 *
 * `ExpositionParser` is one target's: it remembers the lines of the last scrape and compares, so that steady text costs a comparison and
 * a number a line. Names in the UTF-8 quoting of Prometheus 3 are read. A scrape that doesn't parse is refused whole, with the line.
 */
export { ExpositionParser, type ExposedExemplar, type Exposition, type ParserOptions } from './parser.ts'
export { parseFloatBytes } from './float.ts'
export { parseSeries } from './series.ts'
