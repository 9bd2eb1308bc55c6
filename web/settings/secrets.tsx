import { useState } from 'react'
import { whyNotSecretName } from '../../src/core/secret-names.ts'
import { useAct, useMissingRole } from '../api/acting.ts'
import { useRead } from '../api/reading.ts'
import { Button } from '../parts/button.tsx'
import { ActDialog, Confirm } from '../parts/dialog.tsx'
import { TextField } from '../parts/field.tsx'
import { Loaded } from '../parts/page.tsx'
import { Empty, Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'
import { Age } from '../parts/time.tsx'

/** What engines get as variables; a value that was set is never shown again. Admins alone see the names. */
export function Secrets() {
  const missing = useMissingRole('listSecrets')
  const secrets = useRead('listSecrets', undefined, { enabled: missing === null })
  const [setting, setSetting] = useState(false)
  const [forgetting, setForgetting] = useState<string | null>(null)
  return (
    <Panel
      title="Secrets of engines"
      actions={
        <Button act="putSecret" onPress={() => setSetting(true)}>
          Set one …
        </Button>
      }
      flush
    >
      {missing === null && (
        <Loaded of={secrets}>
          {({ items }) => (
            <Table
              label="Secrets"
              rows={items}
              rowKey={({ name }) => name}
              columns={[
                { key: 'name', title: 'Variable', cell: ({ name }) => <code>{name}</code>, width: '2fr' },
                { key: 'age', title: 'Set', cell: ({ createdAt }) => <Age at={createdAt} />, end: true },
                {
                  key: 'acts',
                  title: '',
                  cell: ({ name }) => (
                    <Button look="quiet" danger onPress={() => setForgetting(name)} label={`Forget ${name}`}>
                      Forget …
                    </Button>
                  ),
                  end: true,
                },
              ]}
              empty={<Empty title="None is set. Gated models need HF_TOKEN." />}
            />
          )}
        </Loaded>
      )}
      {setting && <SetSecret onClose={() => setSetting(false)} />}
      {forgetting !== null && <Forget name={forgetting} onClose={() => setForgetting(null)} />}
    </Panel>
  )
}

function SetSecret({ onClose }: { readonly onClose: () => void }) {
  const [name, setName] = useState('')
  const [value, setValue] = useState('')
  const [pressed, setPressed] = useState(false)
  const put = useAct('putSecret')
  const wrongName = whyNotSecretName(name)
  const submit = async () => {
    setPressed(true)
    if (wrongName !== null || value === '') return
    if (await put.run({ params: { id: name }, body: { value } })) {
      put.reset()
      onClose()
    }
  }
  return (
    <ActDialog
      title="Set a secret"
      verb="Set it"
      act="putSecret"
      doing={put}
      onSubmit={() => void submit()}
      onClose={onClose}
    >
      <TextField
        label="Variable"
        value={name}
        onChange={setName}
        placeholder="HF_TOKEN"
        wrong={pressed ? wrongName : null}
        autoFocus
      />
      <TextField
        label="Value"
        type="password"
        value={value}
        onChange={setValue}
        hint="Engines that start from now on get it; it is never shown again"
        wrong={pressed && value === '' ? 'Give it a value.' : null}
      />
    </ActDialog>
  )
}

function Forget({ name, onClose }: { readonly name: string; readonly onClose: () => void }) {
  return (
    <Confirm
      title={`Forget ${name}?`}
      verb="Forget it"
      act="deleteSecret"
      call={{ params: { id: name } }}
      danger
      onClose={onClose}
    >
      <p>Engines that start from then on do not get it. Those that run keep what they were given.</p>
    </Confirm>
  )
}
