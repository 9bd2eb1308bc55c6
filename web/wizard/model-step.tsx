import { type CatalogModel, licenceWords, parameterWords } from '../../src/core/catalog.ts'
import type { CatalogCard, MemoryView, ModelView } from '../../src/wire/catalog.ts'
import { useRead } from '../api/reading.ts'
import { useModels } from '../live/ready-counts.ts'
import { TextField } from '../parts/field.tsx'
import { Loaded } from '../parts/page.tsx'
import { Empty, Panel } from '../parts/panel.tsx'
import { type Column, Table } from '../parts/table.tsx'
import { findModels, type Known } from './find-model.ts'
import { modelOf, wrongOwn } from './own.ts'
import { OwnModel } from './own-model.tsx'
import type { Drafting } from './use-draft.ts'
import look from './wizard.module.css'
import { memoryWords } from './words.ts'

/** What can be launched by its name, what is known beside it, and anything else by where it lies. */
export function ModelStep({ drafting }: { readonly drafting: Drafting }) {
  const { draft, change, go } = drafting
  const models = useModels()
  const catalog = useRead('listCatalog')
  const pick = (model: string) => go('configuration', { from: 'list', model, offer: '' })
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
            <OwnModel models={items} drafting={drafting} pick={pick} />
            <Loaded of={catalog}>
              {({ items: known }) => <Unconfigured models={items} catalog={known} drafting={drafting} />}
            </Loaded>
          </>
        )}
      </Loaded>
    </div>
  )
}

interface Figured {
  readonly card: CatalogModel | null
  readonly memory: MemoryView | null
}

const figure =
  (of: (model: CatalogModel) => string) =>
  ({ card }: Figured) =>
    card ? of(card) : <span className="faint">unknown</span>

/** At its own context, or the one that is configured: a shorter one needs less. */
function Needs({ memory, card }: Figured) {
  if (!memory) return <span className="faint">unknown</span>
  return (
    <span className={look['lines']}>
      <span>
        {memory.totalGib} GiB{card && `, ${card.weights.dtype}`}
      </span>
      <small className="soft">{memoryWords(memory)}</small>
    </span>
  )
}

const sizes: readonly Column<Figured>[] = [
  { key: 'size', title: 'Parameters', cell: figure(parameterWords), width: '150px', end: true },
  { key: 'memory', title: 'Memory needed', cell: Needs, width: '1.8fr' },
]

interface ConfiguredProps {
  readonly items: readonly ModelView[]
  readonly catalog: readonly CatalogCard[]
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
        isHere={({ name }) => name === modelOf(draft)}
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
        aria-pressed={row.name === modelOf(draft)}
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
  readonly catalog: readonly CatalogCard[]
  readonly drafting: Drafting
}

/** What the catalogue knows and this install does not serve yet: its weights are fetched from the hub. */
function Unconfigured({ models, catalog, drafting: { draft, go } }: UnconfiguredProps) {
  const used = new Set(models.map(({ catalog: id }) => id))
  const others = catalog
    .filter(({ id }) => !used.has(id))
    .map((card) => ({ name: card.id, source: card.id, description: card.kind, card, memory: card.memory }))
  const found = findModels(others, draft.search)
  if (found.length === 0) return null
  const take = (own: string) => {
    const isTaken = wrongOwn({ own, name: '' }, models).name !== undefined
    // Another name is asked for then, where it is said why.
    go(isTaken ? 'model' : 'configuration', { from: isTaken ? 'list' : 'own', own, name: '', offer: '' })
  }
  return (
    <Panel title="Others of the catalogue" sub={`${found.length} of ${others.length}, fetched from the hub`} flush>
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
                onClick={() => take(name)}
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
