import { useState } from 'react'
import type { KeyView } from '../../src/wire/views.ts'
import { useRead } from '../api/reading.ts'
import { MakeKey } from '../keys/make-key.tsx'
import { Button } from '../parts/button.tsx'
import { Confirm } from '../parts/dialog.tsx'
import { StateMark } from '../parts/mark.tsx'
import { Loaded, Page } from '../parts/page.tsx'
import { Empty, Panel } from '../parts/panel.tsx'
import { type Column, Table } from '../parts/table.tsx'
import { Age } from '../parts/time.tsx'

export function KeysPage() {
  const keys = useRead('listKeys')
  const [making, setMaking] = useState(false)
  const [revoking, setRevoking] = useState<KeyView | null>(null)
  return (
    <Page
      title="Keys"
      sub="For the OpenAI-compatible gateway"
      actions={
        <Button look="main" act="createKey" onPress={() => setMaking(true)}>
          Make a key
        </Button>
      }
    >
      <Panel title="API keys" sub="the key itself is kept nowhere" flush>
        <Loaded of={keys}>
          {({ items }) => (
            <Table
              label="API keys"
              rows={items}
              rowKey={({ id }) => id}
              columns={columnsOf(setRevoking)}
              empty={<Empty title="There are no API keys yet: clients of the gateway need one." />}
            />
          )}
        </Loaded>
      </Panel>
      {making && <MakeKey onClose={() => setMaking(false)} />}
      {revoking && <Revoke of={revoking} onClose={() => setRevoking(null)} />}
    </Page>
  )
}

const columnsOf = (revoke: (key: KeyView) => void): Column<KeyView>[] => [
  { key: 'name', title: 'Name', cell: ({ name }) => <strong>{name}</strong>, width: '1.4fr' },
  {
    key: 'state',
    title: 'State',
    cell: ({ revokedAt }) =>
      revokedAt === null ? (
        <StateMark shape="good">good</StateMark>
      ) : (
        <>
          <StateMark shape="between">revoked</StateMark>{' '}
          <span className="soft">
            <Age at={revokedAt} /> ago
          </span>
        </>
      ),
  },
  { key: 'last4', title: 'Ends with', cell: ({ last4 }) => <code>{last4}</code>, width: '100px' },
  { key: 'models', title: 'Models', cell: ({ models }) => models?.join(', ') ?? 'all', width: '1.6fr' },
  { key: 'by', title: 'Made by', cell: ({ createdBy }) => createdBy, low: true },
  { key: 'age', title: 'Age', cell: ({ createdAt }) => <Age at={createdAt} />, width: '90px', end: true },
  {
    key: 'acts',
    title: '',
    cell: (key) =>
      key.revokedAt === null && (
        <Button look="quiet" danger act="revokeKey" onPress={() => revoke(key)} label={`Revoke ${key.name}`}>
          Revoke …
        </Button>
      ),
    width: '120px',
    end: true,
  },
]

function Revoke({ of: { id, name, last4 }, onClose }: { readonly of: KeyView; readonly onClose: () => void }) {
  return (
    <Confirm
      title={`Revoke the key ${name}?`}
      verb="Revoke it"
      act="revokeKey"
      call={{ params: { id } }}
      danger
      onClose={onClose}
    >
      <p>
        The gateways refuse the key that ends with <code>{last4}</code> from then on. Whoever uses it needs another one;
        this cannot be taken back.
      </p>
    </Confirm>
  )
}
