import { Link } from '@tanstack/react-router'
import { writtenArguments } from '../../src/core/engine-presets.ts'
import { mayHold } from '../../src/core/fit.ts'
import { humanRough } from '../../src/core/human-time.ts'
import type { PlannedOffer, ReadyInView } from '../../src/wire/plan.ts'
import { Bar } from '../parts/bar.tsx'
import { Tag } from '../parts/mark.tsx'
import { Money } from '../parts/money.tsx'
import { Table } from '../parts/table.tsx'
import { Age } from '../parts/time.tsx'
import { boughtAs, machineOf, placeOf } from '../words/offers.ts'
import look from './wizard.module.css'
import { fitShares, fitWords, setupWords } from './words.ts'

export interface OfferTableProps {
  readonly offers: readonly PlannedOffer[]
  /** The id of the one that alone is taken; empty: the best first, then the next. */
  readonly picked: string
  /** Null: none can be picked. */
  readonly onPick: ((id: string) => void) | null
}

/** The offers in the order of trying, and those that cannot hold the model, with why. */
export function OfferTable({ offers, picked, onPick }: OfferTableProps) {
  const place = new Map(offers.filter(mayHold).map(({ id }, i) => [id, i + 1]))
  return (
    <Table
      label="Offers, in the order in which they would be tried"
      rows={offers}
      rowKey={({ id }) => id}
      isHere={({ id }) => (picked === '' ? place.get(id) === 1 : id === picked)}
      columns={[
        {
          key: 'offer',
          title: 'Machine',
          width: '1.1fr',
          cell: (offer) => <Machine offer={offer} place={place.get(offer.id)} picked={picked} onPick={onPick} />,
        },
        { key: 'fit', title: 'Fit in memory of one GPU', width: '2fr', cell: (offer) => <Fit offer={offer} /> },
        { key: 'place', title: 'Place', width: '1.2fr', cell: (offer) => <Place offer={offer} /> },
        { key: 'why', title: 'Lately, and its rank', width: '1.4fr', cell: (offer) => <Lately offer={offer} /> },
        { key: 'ready', title: 'Ready in', width: '110px', end: true, cell: (offer) => <Ready in={offer.readyIn} /> },
        {
          key: 'hour',
          title: '$ / h',
          width: '90px',
          end: true,
          cell: (offer) => <Money microUsd={offer.pricePerHourMicroUsd} />,
        },
        {
          key: 'month',
          title: '$ / month',
          width: '110px',
          end: true,
          cell: (offer) => <Money microUsd={offer.pricePerMonthMicroUsd} />,
        },
      ]}
    />
  )
}

interface MachineProps extends Pick<OfferTableProps, 'picked' | 'onPick'> {
  readonly offer: PlannedOffer
  readonly place: number | undefined
}

function Machine({ offer, place, picked, onPick }: MachineProps) {
  const { setups } = offer
  const name = machineOf(offer)
  return (
    <span className={look['lines']}>
      {place === undefined ? (
        <span className="soft">{name}: cannot hold it</span>
      ) : onPick === null ? (
        <Placed place={place} name={name} />
      ) : (
        <label className={look['offer']}>
          <input type="radio" name="offer" checked={picked === offer.id} onChange={() => onPick(offer.id)} />
          <Placed place={place} name={name} />
        </label>
      )}
      {setups.does && <small className="soft">brings the engine by {setupWords(setups.does)}</small>}
      {setups.does && setups.instead && <small className="faint">instead, {setupWords(setups.instead)}</small>}
    </span>
  )
}

const Placed = ({ place, name }: { readonly place: number; readonly name: string }) => (
  <span>
    <span className="faint">{place}.</span> {name}
  </span>
)

function Fit({ offer: { fit, unchecked } }: { readonly offer: PlannedOffer }) {
  if (!fit) return <span className="soft">Not checked{unchecked && `: ${unchecked}`}</span>
  const words = fitWords(fit)
  const adds = writtenArguments(fit.arguments)
  return (
    <span className={look['lines']}>
      <Bar shares={fitShares(fit)} label={words || (fit.cause ?? fit.verdict)} />
      {words && <small className="soft">{words}</small>}
      {fit.fits && adds.length > 0 && <small className="soft">the engine is told {adds.join(', ')}</small>}
      {fit.cause && <small className={fit.fits ? 'warn' : 'bad'}>{fit.cause}</small>}
      {fit.remedy && !fit.fits && <small className="soft">{fit.remedy}</small>}
    </span>
  )
}

/** As long as launches took there before. */
function Ready({ in: usual }: { readonly in: ReadyInView | null }) {
  if (!usual) return <span className="faint">not known</span>
  return (
    <span className={look['lines']}>
      {humanRough(usual.ms)}
      <small className="soft">
        for <Money microUsd={usual.costMicroUsd} />
      </small>
    </span>
  )
}

function Place({ offer }: { readonly offer: PlannedOffer }) {
  const { available, stale, seenAt } = offer
  return (
    <span className={look['lines']}>
      <span>{placeOf(offer)}</span>
      <span className="row">
        <Tag>{boughtAs(offer)}</Tag>
        {available !== null && <Tag>{available === 0 ? 'none free now' : `${available} free`}</Tag>}
        {stale && (
          <small className="warn">
            as of <Age at={seenAt} /> ago
          </small>
        )}
      </span>
    </span>
  )
}

/** What came of it lately, and why it stands at its place. */
function Lately({ offer: { standing, reasons, lately } }: { readonly offer: PlannedOffer }) {
  return (
    <span className={look['lines']}>
      {lately && (
        <small className="warn">
          failed <Age at={lately.at} /> ago: {lately.failure.cause}{' '}
          <Link className="link" to="/launches/$id" params={{ id: lately.launchId }}>
            that launch
          </Link>
        </small>
      )}
      {standing && standing.refusedAt !== null && (
        <small className="warn">
          refused <Age at={standing.refusedAt} /> ago
        </small>
      )}
      {standing && standing.gaveAt !== null && (
        <small>
          gave a machine <Age at={standing.gaveAt} /> ago
        </small>
      )}
      {reasons.map((reason) => (
        <small className="soft" key={reason}>
          {reason}
        </small>
      ))}
      {reasons.length === 0 && <small className="soft">Nothing but its price decides.</small>}
    </span>
  )
}
