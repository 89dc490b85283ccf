import { channel } from 'node:diagnostics_channel';
import type { AuthEvent } from '../events.js';

/**
 * Returns a function for `onEvent`. It publishes each event on the channel `axios-attach-auth:event` of
 * `node:diagnostics_channel`, to which tracers and loggers can subscribe. Without a subscriber it does nothing. The message is
 * the event itself, which never contains a credential.
 */
export function publishEvents(): (event: AuthEvent) => void {
  return (event) => {
    // Looked up each time: Node 20 loses a referenced channel if an earlier one of the same name was collected.
    const events = channel('axios-attach-auth:event');
    if (events.hasSubscribers) events.publish(event);
  };
}
