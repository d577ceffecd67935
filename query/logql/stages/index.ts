/**
 * The stages of a pipeline, compiled: what each does to an `Entry`. `pipeline.ts` one level up puts them together.
 *
 * A stage says what it reads, so that a pipeline whose outcome depends on stored labels alone is worked out once for each stream. Errors at
 * compile time are bad_data with the language's texts; at run time a stage never throws, it marks the line.
 */
import type { Stage } from '../ast.ts'
import { dropStage, keepStage } from './choose.ts'
import { decolorizeStage, patternStage, regexpStage } from './extract.ts'
import { labelFormatStage, lineFormatStage } from './format.ts'
import { jsonPathStage } from './json-path.ts'
import { jsonStage, unpackStage } from './json.ts'
import { labelFilterStage } from './label-filter.ts'
import { compileLineFilter } from './line-filter.ts'
import { logfmtStage } from './logfmt.ts'
import type { LineStage } from './stage.ts'

export { Entry, ERROR_DETAILS_LABEL, ERROR_LABEL, EXTRACTED_SUFFIX, METADATA, PARSED, STREAM } from './entry.ts'
export { compileLabelFilter, namesIn } from './label-filter.ts'
export { isNeedleOnly, needlesOf } from './line-filter.ts'
export type { LineStage } from './stage.ts'

export function compileStage(stage: Stage): LineStage {
  switch (stage.kind) {
    case 'line':
      return compileLineFilter(stage)
    case 'json':
      return stage.expressions.length > 0 ? jsonPathStage(stage.expressions) : jsonStage()
    case 'logfmt':
      return logfmtStage(stage)
    case 'regexp':
      return regexpStage(stage.pattern)
    case 'pattern':
      return patternStage(stage.pattern)
    case 'unpack':
      return unpackStage()
    case 'decolorize':
      return decolorizeStage()
    case 'line_format':
      return lineFormatStage(stage.template)
    case 'label_format':
      return labelFormatStage(stage.formats)
    case 'label_filter':
      return labelFilterStage(stage.filter)
    case 'drop':
      return dropStage(stage.labels)
    case 'keep':
      return keepStage(stage.labels)
  }
}
