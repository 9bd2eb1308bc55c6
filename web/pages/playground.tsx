import { Link } from '@tanstack/react-router'
import { type KeyboardEvent, useState } from 'react'
import type { ModelView } from '../../src/wire/catalog.ts'
import { useFleet } from '../live/fleet.ts'
import { useModels } from '../live/ready-counts.ts'
import { useStatus } from '../live/status.ts'
import { useAddressState } from '../parts/address-state.ts'
import { Button } from '../parts/button.tsx'
import { CopyText } from '../parts/copy.tsx'
import { Choice, Field, TextField } from '../parts/field.tsx'
import { Loaded, Page } from '../parts/page.tsx'
import { Empty, Panel } from '../parts/panel.tsx'
import { curlOf, gatewayFor, type Question } from '../playground/ask.ts'
import { ExchangeView } from '../playground/exchange.tsx'
import look from '../playground/playground.module.css'
import { turnsOf, useChat } from '../playground/use-chat.ts'

const nothingChosen = { model: '' }

export function PlaygroundPage() {
  const models = useModels()
  const [{ model }, choose] = useAddressState(nothingChosen)
  return (
    <Page title="Playground" sub="A conversation through the gateway">
      <Loaded of={models}>
        {({ items }) => {
          const first = items.find(({ readyNodes }) => readyNodes > 0)
          const chosen = items.find(({ name }) => name === model) ?? first
          if (chosen) return <Talk models={items} model={chosen} choose={(name) => choose({ model: name })} />
          return (
            <Empty title={model === '' ? 'No model has a ready node.' : `${model} is not configured here.`}>
              <Link to="/launch" className="button main">
                Launch a model
              </Link>
            </Empty>
          )
        }}
      </Loaded>
    </Page>
  )
}

interface TalkProps {
  readonly models: readonly ModelView[]
  readonly model: ModelView
  readonly choose: (name: string) => void
}

function Talk({ models, model, choose }: TalkProps) {
  const [system, setSystem] = useState('')
  const [limit, setLimit] = useState('')
  const [asked, setAsked] = useState('')
  const [isEmpty, setEmpty] = useState(false)
  const chat = useChat()
  const fleet = useFleet()
  const nodeIds = new Map(fleet?.map(({ name, id }) => [name, id]))
  const wrongLimit = limit === '' || /^[1-9]\d{0,5}$/.test(limit) ? null : 'Give a whole number, or leave it empty.'
  const question = (text: string): Question => ({
    model: model.name,
    messages: turnsOf(chat.exchanges, system, text),
    ...(limit === '' || wrongLimit ? {} : { max_tokens: Number(limit) }),
  })
  const send = () => {
    setEmpty(asked.trim() === '')
    if (asked.trim() === '' || wrongLimit || chat.isRunning) return
    chat.send(asked, question(asked))
    setAsked('')
  }
  return (
    <div className={look['page']}>
      <div className={look['talk']}>
        {chat.exchanges.map((one) => (
          <ExchangeView key={one.id} of={one} nodeId={nodeIds.get(one.answer.node ?? '') ?? null} />
        ))}
        <Ask
          asked={asked}
          wrong={isEmpty && asked.trim() === '' ? 'Write something first.' : null}
          blocked={wrongLimit && 'mend the settings first'}
          onChange={setAsked}
          onSend={send}
          chat={chat}
        />
        {/* Told, and not in the way: a node that got ready this moment is known to the gateway first. */}
        {model.readyNodes === 0 && (
          <p className="warn">No node serves {model.name} now: what is sent before one is ready is refused.</p>
        )}
        <Elsewhere question={question(asked || 'hello')} />
      </div>
      <Panel title="Settings">
        <div className="stack">
          <Choice label="Model" value={model.name} options={models.map(optionOf)} onChange={choose} />
          <TextField label="Instruction to the model" value={system} onChange={setSystem} hint="Empty: none." />
          <TextField
            label="Tokens of an answer at most"
            value={limit}
            onChange={setLimit}
            wrong={wrongLimit}
            hint="Empty: as many as the engine gives."
          />
        </div>
      </Panel>
    </div>
  )
}

/** Programs ask the gateway itself, with a key. */
function Elsewhere({ question }: { readonly question: Question }) {
  const gatewayUrl = gatewayFor(useStatus()?.gateways ?? [], location.hostname)
  if (gatewayUrl === null) return null
  return (
    <Panel title="The same from a program">
      <div className="stack">
        <p>
          With a key from{' '}
          <Link to="/keys" className="link">
            Keys
          </Link>{' '}
          in <code>FLIGHTDECK_API_KEY</code>; clients of OpenAI take <code>{gatewayUrl}/v1</code> as their base address.
        </p>
        <CopyText text={curlOf(gatewayUrl, question)} />
      </div>
    </Panel>
  )
}

const optionOf = ({ name, readyNodes }: ModelView) => ({
  value: name,
  text: readyNodes > 0 ? `${name} (${readyNodes} ready)` : `${name} (no ready node)`,
})

interface AskProps {
  readonly asked: string
  readonly wrong: string | null
  readonly blocked: string | null
  readonly onChange: (asked: string) => void
  readonly onSend: () => void
  readonly chat: Pick<ReturnType<typeof useChat>, 'exchanges' | 'isRunning' | 'stop' | 'clear'>
}

function Ask({ asked, wrong, blocked, onChange, onSend, chat }: AskProps) {
  const onKeyDown = (event: KeyboardEvent) => {
    // Enter in the middle of a word that is put together, as in Japanese, ends the word and not the message.
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return
    event.preventDefault()
    if (blocked === null) onSend()
  }
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault()
        onSend()
      }}
    >
      <Field label="Message" hint="Enter sends it; Shift and Enter begin a line." wrong={wrong}>
        {(wiring) => (
          <textarea
            {...wiring}
            className={`input ${look['question']}`}
            value={asked}
            onChange={({ target }) => onChange(target.value)}
            onKeyDown={onKeyDown}
          />
        )}
      </Field>
      <div className="row">
        <Button type="submit" look="main" act="chat" busy={chat.isRunning} blocked={blocked}>
          Send
        </Button>
        {chat.isRunning && <Button onPress={chat.stop}>Stop</Button>}
        {chat.exchanges.length > 0 && (
          <Button look="quiet" onPress={chat.clear}>
            Begin anew
          </Button>
        )}
      </div>
    </form>
  )
}
