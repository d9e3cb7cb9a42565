import type { JSX } from "preact";
import { formatBytes, formatNumber } from "../data/format.ts";
import type { NodeView } from "../data/types.ts";
import { Card } from "./card.tsx";
import { Name, Uri } from "./name.tsx";
import { Status } from "./status.tsx";

/** The node itself: addresses, memory, and what it has of a store, a proxy for endpoints, and damage. */
export function NodeCard({ node }: { readonly node: NodeView }): JSX.Element {
  const { listen, digest, memory, store, proxied, damage = {} } = node;
  return (
    <Card title="This node">
      <dl class="facts wide">
        <div>
          <dt>CoAP at</dt>
          <dd>
            {listen.map((uri) => (
              <Uri key={uri} text={uri} />
            ))}
          </dd>
        </div>
        <div>
          <dt>digest of what is shown</dt>
          <dd>
            <code>{digest}</code>
          </dd>
        </div>
        <div>
          <dt>memory of registrations</dt>
          <dd>
            {formatBytes(memory.used)}
            {memory.limit === undefined ? "" : ` of ${formatBytes(memory.limit)}`}
            {memory.limit === undefined ? null : (
              <meter
                min={0}
                max={memory.limit}
                high={memory.limit * 0.9}
                value={memory.used}
                aria-label="memory of registrations"
              />
            )}
            {memory.onDisk === 0 ? null : (
              <span class="warn-text">{formatNumber(memory.onDisk)} only on disk, for lack of memory</span>
            )}
          </dd>
        </div>
        {store === undefined ? null : (
          <div>
            <dt>shared store</dt>
            <dd>
              <Status kind={store.up ? "good" : "bad"}>{store.up ? "takes writes" : "away"}</Status>{" "}
              <span class="muted">
                at change {formatNumber(store.position)}, {formatNumber(store.lag)} behind
              </span>
              {store.away === undefined ? null : (
                <span class="warn-text">
                  <Name text={store.away} />
                </span>
              )}
            </dd>
          </div>
        )}
        {proxied === undefined ? null : (
          <div>
            <dt>endpoints that are proxied</dt>
            <dd>
              {formatNumber(proxied.endpoints)}
              {proxied.away === 0 ? "" : `, ${formatNumber(proxied.away)} of them away`}
            </dd>
          </div>
        )}
        {Object.entries(damage).map(([setting, { problem, leftOut, setAside }]) => (
          <div key={setting}>
            <dt>damage found at the start: {setting}</dt>
            <dd class="warn-text">
              {problem}: {leftOut === undefined ? "an unknown number of" : formatNumber(leftOut)} records left out, see{" "}
              {setAside}
            </dd>
          </div>
        ))}
      </dl>
    </Card>
  );
}
