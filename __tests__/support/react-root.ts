import type { ReactNode } from 'react';
import { withGlobals } from './web-fakes.js';

/** A minimal document for components that create no elements. */
class EmptyNode extends EventTarget {
  readonly nodeName = 'DIV';
  readonly tagName = 'DIV';
  readonly namespaceURI = 'http://www.w3.org/1999/xhtml';
  readonly ownerDocument: EmptyNode;
  readonly nodeType: number;
  textContent = '';

  constructor(document?: EmptyNode) {
    super();
    this.ownerDocument = document ?? this;
    this.nodeType = document ? 1 : 9;
  }
}

export interface TestRoot {
  render(node: ReactNode): Promise<void>;
  unmount(): Promise<void>;
  /** Runs `work` and the renders that follow from it. */
  act(work: () => unknown): Promise<void>;
  /** The events of the page: `online`, `focus`. */
  readonly page: EventTarget & { readonly listeners: number };
  close(): void;
}

class Page extends EventTarget {
  listeners = 0;
  override addEventListener(...details: Parameters<EventTarget['addEventListener']>): void {
    this.listeners++;
    super.addEventListener(...details);
  }
  override removeEventListener(...details: Parameters<EventTarget['removeEventListener']>): void {
    this.listeners--;
    super.removeEventListener(...details);
  }
}

/** React itself, in this process. The components may return children and null, but no elements of HTML. */
export async function createTestRoot(): Promise<TestRoot> {
  const page = new Page();
  const restore = withGlobals({
    window: globalThis,
    HTMLIFrameElement: EmptyNode,
    IS_REACT_ACT_ENVIRONMENT: true,
    addEventListener: (type: string, listener: () => void) => page.addEventListener(type, listener),
    removeEventListener: (type: string, listener: () => void) => page.removeEventListener(type, listener),
  });
  const { act } = await import('react');
  const { createRoot } = await import('react-dom/client');
  const root = createRoot(new EmptyNode(new EmptyNode()) as unknown as Element);
  const during = (work: () => unknown): Promise<void> =>
    act(async () => {
      await work();
    });
  return {
    page,
    act: during,
    render: (node) => during(() => root.render(node)),
    unmount: () => during(() => root.unmount()),
    close: restore,
  };
}
