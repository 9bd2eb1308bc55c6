import { readFileSync } from 'node:fs'
import { join } from 'node:path'

interface Panel {
  readonly title: string
  readonly targets?: readonly { readonly expr: string }[]
}

interface Board {
  readonly panels: readonly Panel[]
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly query: string | { query: string } }[]
  }
}

export interface BoardQuery {
  readonly title: string
  readonly expr: string
}

/** Every query of a board, those of its variables too. The path is one of this repository. */
export function queriesOf(path: string): BoardQuery[] {
  const { panels, templating } = JSON.parse(readFileSync(join(import.meta.dirname, '..', path), 'utf8')) as Board
  const ofPanels = panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })))
  const ofVariables = templating.list.flatMap(({ name, query }) => {
    const [, metric, label] =
      /^label_values\((.*), (\w+)\)$/.exec(typeof query === 'string' ? query : query.query) ?? []
    return metric && label ? [{ title: `$${name}`, expr: `count by (${label}) (${metric})` }] : []
  })
  return [...ofPanels, ...ofVariables]
}
