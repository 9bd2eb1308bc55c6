import { useState } from 'react'
import { whyNotSecretName } from '../../src/core/secret-names.ts'
import { useAct, useMissingRole } from '../api/acting.ts'
import { useRead } from '../api/reading.ts'
import { Button } from '../parts/button.tsx'
import { Confirm, Dialog } from '../parts/dialog.tsx'
import { TextField } from '../parts/field.tsx'
import { Loaded } from '../parts/page.tsx'
import { Empty, Panel } from '../parts/panel.tsx'
import { Problem } from '../parts/problem.tsx'
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
          {({ items }) =>
            items.length === 0 ? (
              <Empty title="None is set. Gated models need HF_TOKEN." />
            ) : (
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
              />
            )
          }
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
    <Dialog
      title="Set a secret"
      onClose={onClose}
      onSubmit={() => void submit()}
      actions={
        <>
          <Button onPress={onClose}>Leave it</Button>
          <Button type="submit" look="main" act="putSecret" busy={put.isRunning}>
            Set it
          </Button>
        </>
      }
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
      <Problem of={put.failure} />
    </Dialog>
  )
}

function Forget({ name, onClose }: { readonly name: string; readonly onClose: () => void }) {
  const forget = useAct('deleteSecret')
  const confirm = async () => {
    if (await forget.run({ params: { id: name } })) onClose()
  }
  return (
    <Confirm
      title={`Forget ${name}?`}
      verb="Forget it"
      act="deleteSecret"
      danger
      busy={forget.isRunning}
      failure={forget.failure}
      onConfirm={() => void confirm()}
      onClose={onClose}
    >
      <p>Engines that start from then on do not get it. Those that run keep what they were given.</p>
    </Confirm>
  )
}
