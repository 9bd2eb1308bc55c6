import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import type { AuditView } from '../../src/wire/views.ts'
import { useRead } from '../api/reading.ts'
import { pageOf, shortly } from '../audit/target.ts'
import { Button } from '../parts/button.tsx'
import { Loaded, Page } from '../parts/page.tsx'
import { Pager } from '../parts/pager.tsx'
import { Empty, Panel } from '../parts/panel.tsx'
import { type PickOption, Picks } from '../parts/pick.tsx'
import { type Column, Table } from '../parts/table.tsx'
import { Age } from '../parts/time.tsx'
import { useLeafing } from '../parts/use-leafing.ts'
import { plainText } from '../words/plain-text.ts'

const everything = { who: '', action: '', target: '', cursor: '' }
type Wish = typeof everything

/** What comes before the dot of an action. */
const kinds: readonly PickOption[] = [
  'launch',
  'node',
  'deployment',
  'key',
  'operator',
  'session',
  'secret',
  'automation',
  'sweep',
].map((kind) => [kind, kind])

export function AuditPage() {
  const { wish, query, isNarrowed, narrow, go } = useLeafing(everything)
  const audit = useRead('audit', { query })
  return (
    <Page title="Audit" sub="Who changed what">
      <Panel
        title="Newest first"
        actions={
          <>
            <Filters wish={wish} onNarrow={narrow} />
            <Pager cursor={wish.cursor} nextCursor={audit.data?.nextCursor ?? null} onGo={go} />
          </>
        }
        flush
      >
        <Loaded of={audit}>
          {({ items }) => (
            <Table
              label="Audit"
              rows={items}
              rowKey={({ id }) => String(id)}
              columns={columns}
              empty={<Empty title={isNarrowed ? 'Nothing like that was done.' : 'Nothing was changed yet.'} />}
            />
          )}
        </Loaded>
      </Panel>
    </Page>
  )
}

function Filters({ wish, onNarrow }: { readonly wish: Wish; readonly onNarrow: (patch: Partial<Wish>) => void }) {
  const people = useRead('listOperators')
  const names: PickOption[] = people.data?.items.map(({ name }) => [name, name]) ?? []
  const [target, setTarget] = useState(wish.target)
  return (
    <>
      <Picks
        of={[
          { field: 'who', label: 'Who', any: 'anybody', options: names },
          { field: 'action', label: 'Did', any: 'anything', options: kinds },
        ]}
        chosen={wish}
        onPick={onNarrow}
      />
      <form
        className="row"
        onSubmit={(event) => {
          event.preventDefault()
          onNarrow({ target: target.trim() })
        }}
      >
        <input
          className="input inline"
          type="search"
          aria-label="To what, by its whole id or name"
          placeholder="To: whole id or name"
          value={target}
          onChange={(event) => setTarget(event.target.value)}
        />
        <Button type="submit">Find</Button>
      </form>
    </>
  )
}

const columns: readonly Column<AuditView>[] = [
  { key: 'ago', title: 'Ago', cell: ({ at }) => <Age at={at} />, width: '90px' },
  { key: 'who', title: 'Who', cell: ({ who }) => who },
  { key: 'did', title: 'Did', cell: ({ action }) => action },
  { key: 'to', title: 'To', cell: ({ target }) => <Target of={target} />, width: '1.2fr' },
  { key: 'detail', title: 'Detail', cell: (row) => <Detail of={row} />, width: '2.4fr', wide: true },
  { key: 'from', title: 'From', cell: ({ address }) => address ?? '', low: true, width: '120px' },
]

function Target({ of }: { readonly of: string }) {
  const page = pageOf(of)
  if (page === null) return plainText(of)
  return (
    <Link to={page} className="link">
      {of}
    </Link>
  )
}

/** A line of it; the whole, with the hash that chains it to the row before, on request. */
function Detail({ of: { detail, hash } }: { readonly of: AuditView }) {
  return (
    <details>
      <summary>{plainText(shortly(detail)) || 'no more to tell'}</summary>
      <pre className="mono soft evidence">{`${plainText(JSON.stringify(detail, null, 2))}\nhash ${hash}`}</pre>
    </details>
  )
}
