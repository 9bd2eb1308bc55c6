import { Link } from '@tanstack/react-router'
import look from '../launches/launch.module.css'
import { saidIn, type Transcript, transcriptAddress, transcriptText } from '../launches/transcript-text.ts'
import { useTranscript } from '../launches/use-transcript.ts'
import { useLaunch } from '../live/fed.ts'
import { useIdOfPage } from '../parts/address-state.ts'
import { Copy } from '../parts/copy.tsx'
import { Tag } from '../parts/mark.tsx'
import { Loaded, Page } from '../parts/page.tsx'
import { Empty, Panel } from '../parts/panel.tsx'
import { Clock } from '../parts/time.tsx'

// As many as a browser draws without a pause; the text that is copied has all of them.
const drawnMost = 2_000

/** Everything that was said during a launch, at an address of its own that can be sent around. */
export function TranscriptPage() {
  const id = useIdOfPage()
  const launch = useLaunch(id)
  const transcript = useTranscript(id)
  return (
    <Page
      title={launch.data ? `Transcript of ${launch.data.model}` : 'Transcript'}
      sub={<Tag>{id}</Tag>}
      actions={
        <>
          <Link to="/launches/$id" params={{ id }} className="button">
            The launch
          </Link>
          <Copy text={transcriptAddress(location.origin, id)} label="Copy the link" />
        </>
      }
    >
      <Loaded of={transcript}>{(all) => <Whole transcript={all} />}</Loaded>
    </Page>
  )
}

function Whole({ transcript }: { readonly transcript: Transcript }) {
  const said = saidIn(transcript)
  const drawn = said.slice(-drawnMost)
  const left = said.length - drawn.length
  return (
    <Panel
      title="What happened and what was printed"
      sub={left > 0 ? `the last ${drawn.length} of ${said.length}` : null}
      actions={<Copy text={transcriptText(said)} label="Copy as text" />}
      flush
    >
      {said.length === 0 ? (
        <Empty title="Nothing was said yet." />
      ) : (
        <ol className={look['said']}>
          {drawn.map(({ key, at, who, text }) => (
            <li key={key} className={who === 'event' ? look['event'] : undefined}>
              <span className="faint">
                <Clock at={at} />
              </span>{' '}
              {text}
            </li>
          ))}
        </ol>
      )}
    </Panel>
  )
}
