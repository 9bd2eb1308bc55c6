import { type CatalogModel, licenceWords, parameterWords } from '../../src/core/catalog.ts'
import type { CatalogModelView } from '../../src/wire/catalog.ts'
import type { ModelView } from '../../src/wire/views.ts'
import { useRead } from '../api/reading.ts'
import { CopyText } from '../parts/copy.tsx'
import { TextField } from '../parts/field.tsx'
import { Loaded } from '../parts/page.tsx'
import { Empty, Panel } from '../parts/panel.tsx'
import { type Column, Table } from '../parts/table.tsx'
import { count } from '../words/counts.ts'
import { configurationOf, findModels, type Known } from './find-model.ts'
import type { Drafting } from './use-draft.ts'
import look from './wizard.module.css'
import { weightsOf } from './words.ts'

/** What can be launched, what is known beside it, and what it takes to launch something else. */
export function ModelStep({ drafting }: { readonly drafting: Drafting }) {
  const { draft, change, go } = drafting
  const models = useRead('listModels')
  const catalog = useRead('listCatalog')
  const pick = (model: string) => go('configuration', { model, offer: '' })
  return (
    <div className="stack">
      <TextField
        label="Search"
        type="search"
        value={draft.search}
        onChange={(search) => change({ search })}
        placeholder="a name, a maker, a licence"
      />
      <Loaded of={models}>
        {({ items }) => (
          <>
            <Configured items={items} catalog={catalog.data?.items ?? []} draft={draft} pick={pick} />
            <Loaded of={catalog}>
              {({ items: known }) => <Unconfigured models={items} catalog={known} drafting={drafting} />}
            </Loaded>
            <Own models={items} drafting={drafting} pick={pick} />
          </>
        )}
      </Loaded>
    </div>
  )
}

interface Figured {
  readonly card: CatalogModel | null
}

const figure =
  (of: (model: CatalogModel) => string) =>
  ({ card }: Figured) =>
    card ? of(card) : <span className="faint">unknown</span>

const sizes: readonly Column<Figured>[] = [
  { key: 'size', title: 'Parameters', cell: figure(parameterWords), width: '150px', end: true },
  { key: 'weights', title: 'Weights', cell: figure(weightsOf), width: '130px', end: true },
  { key: 'context', title: 'Context', cell: figure((model) => count(model.contextTokens)), width: '90px', end: true },
]

interface ConfiguredProps {
  readonly items: readonly ModelView[]
  readonly catalog: readonly CatalogModelView[]
  readonly draft: Drafting['draft']
  readonly pick: (name: string) => void
}

function Configured({ items, catalog, draft, pick }: ConfiguredProps) {
  const known = items.map((model) => ({ ...model, card: catalog.find(({ id }) => id === model.catalog) ?? null }))
  const found = findModels(known, draft.search)
  return (
    <Panel title="Models of this install" sub={`${found.length} of ${items.length}`} flush>
      <Table
        label="Models of this install"
        rows={found}
        rowKey={({ name }) => name}
        isHere={({ name }) => name === draft.model}
        columns={[
          { key: 'name', title: 'Model', width: '2fr', cell: (row) => <Pick row={row} draft={draft} pick={pick} /> },
          { key: 'engine', title: 'Engine', cell: ({ engine }) => engine, width: '100px' },
          ...sizes,
          { key: 'licence', title: 'Licence', cell: figure(licenceWords), width: '130px', low: true },
          { key: 'ready', title: 'Ready nodes', cell: ({ readyNodes }) => readyNodes, width: '120px', end: true },
        ]}
        empty={
          <Empty title={items.length === 0 ? 'No models are configured.' : `No model matches “${draft.search}”.`} />
        }
      />
    </Panel>
  )
}

function Pick({ row, draft, pick }: Pick<ConfiguredProps, 'draft' | 'pick'> & { readonly row: Known<ModelView> }) {
  return (
    <>
      <button
        type="button"
        className={look['pick']}
        aria-pressed={row.name === draft.model}
        onClick={() => pick(row.name)}
      >
        {row.name}
      </button>
      <span className="soft"> {row.description || row.source}</span>
    </>
  )
}

interface UnconfiguredProps {
  readonly models: readonly ModelView[]
  readonly catalog: readonly CatalogModelView[]
  readonly drafting: Drafting
}

/** What the catalogue knows and this install does not serve: choosing it says how to make it so. */
function Unconfigured({ models, catalog, drafting: { draft, change } }: UnconfiguredProps) {
  const used = new Set(models.map(({ catalog: id }) => id))
  const others = catalog
    .filter(({ id }) => !used.has(id))
    .map((card) => ({ name: card.id, source: card.id, description: card.kind, card }))
  const found = findModels(others, draft.search)
  if (found.length === 0) return null
  return (
    <Panel title="Known, but not configured here" sub={`${found.length} of ${others.length} in the catalogue`} flush>
      <Table
        label="Models of the catalogue"
        rows={found}
        rowKey={({ name }) => name}
        isHere={({ name }) => name === draft.own}
        columns={[
          {
            key: 'name',
            title: 'Model',
            width: '2fr',
            cell: ({ name }) => (
              <button
                type="button"
                className={look['pick']}
                aria-pressed={name === draft.own}
                onClick={() => change({ own: name })}
              >
                {name}
              </button>
            ),
          },
          { key: 'kind', title: 'Kind', cell: ({ card }) => card.kind, width: '100px', low: true },
          ...sizes,
          { key: 'licence', title: 'Licence', cell: ({ card }) => licenceWords(card), width: '130px' },
        ]}
      />
    </Panel>
  )
}

/** A hub's path or a bucket: launched where the configuration names it, and told how where it does not. */
function Own({ models, drafting, pick }: Omit<UnconfiguredProps, 'catalog'> & Pick<ConfiguredProps, 'pick'>) {
  const { draft, change } = drafting
  const own = draft.own.trim()
  const found = models.find(({ name, source }) => name === own || source === own)
  const wanted = own === '' ? null : configurationOf(own)
  return (
    <Panel title="Another model">
      <div className="stack">
        <TextField
          label="Its path on the hub, or its bucket"
          value={draft.own}
          onChange={(value) => change({ own: value })}
          placeholder="owner/name, s3://bucket/folder"
          wrong={own !== '' && !found && typeof wanted === 'string' ? wanted : null}
        />
        {found && (
          <p>
            It is configured as{' '}
            <button type="button" className={look['pick']} onClick={() => pick(found.name)}>
              {found.name}
            </button>
            .
          </p>
        )}
        {!found && wanted !== null && typeof wanted !== 'string' && (
          <div role="status" className="stack">
            <p>
              This install does not serve it yet. Put this into <code>models</code> of its configuration, with the
              engine that you want, and start it again; then it stands in the list above.
            </p>
            <CopyText text={JSON.stringify(wanted)} label="Copy" />
          </div>
        )}
      </div>
    </Panel>
  )
}
