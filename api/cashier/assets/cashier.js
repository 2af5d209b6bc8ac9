// What the cashier's pages do beyond forms and links: they follow the payment,
// count down, go on to the provider, and speak to the app around them.
(() => {
  'use strict';
  let pause = 2000, timer = 0, clock = 0, leaving = 0, invoked = '';
  const main = () => document.getElementById('main');

  // Follow the payment: ask for the version, and load the page again when it has
  // changed. Pauses grow, and a tab that nobody looks at does not ask.
  function follow(soon) {
    clearTimeout(timer);
    if (!main().hasAttribute('data-live')) return;
    timer = setTimeout(ask, soon ? 0 : pause);
    if (!soon) pause = Math.min(pause * 1.15, 15000);
  }
  async function ask() {
    if (document.hidden) return;
    const m = main();
    try {
      const answer = await fetch(m.dataset.path + '/state', {
        headers: { 'If-None-Match': '"' + m.dataset.version + '"' }, cache: 'no-store', credentials: 'omit',
      });
      if (answer.status === 200 && (await answer.json()).version !== m.dataset.version) await reload();
    } catch { /* offline for a moment: the next one will tell */ }
    follow();
  }
  async function reload(address) {
    const answer = await fetch(address || location.href, { cache: 'no-store', credentials: 'omit' });
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const next = fresh.getElementById('main');
    if (!next) return location.reload();
    // A parser without scripts takes for content what is for browsers without.
    for (const bare of next.querySelectorAll('noscript')) bare.remove();
    if (address) history.pushState(null, '', address);
    document.title = fresh.title;
    document.querySelector('.bar').replaceWith(fresh.querySelector('.bar'));
    const before = main().dataset.screen, changed = before !== next.dataset.screen;
    main().replaceWith(next);
    // A provider that took its time: the payer has pressed the button before.
    if (before === 'preparing' && next.dataset.screen === 'go') location.assign(next.querySelector('a.button').href);
    if (changed) pause = 2000;
    begin(changed);
  }

  // Count down by the device's own clock, from what the server said was left.
  function count() {
    clearInterval(clock);
    const time = document.querySelector('time[data-left]');
    if (!time) return;
    const end = Date.now() + time.dataset.left * 1000;
    const two = (n) => String(n).padStart(2, '0');
    clock = setInterval(() => {
      const left = Math.max(0, Math.round((end - Date.now()) / 1000));
      const h = Math.floor(left / 3600), m = Math.floor(left / 60) % 60;
      time.textContent = (h ? h + ':' : '') + two(m) + ':' + two(left % 60);
      time.classList.toggle('soon', left < 120);
      if (!left) { clearInterval(clock); reload().catch(() => {}); }
    }, 1000);
  }

  // A click is sent once; what comes back says where to go.
  async function choose(event) {
    event.preventDefault();
    const form = event.target, button = form.querySelector('button');
    if (button.disabled) return;
    button.disabled = true;
    button.setAttribute('aria-busy', 'true');
    try {
      const answer = await fetch(form.action, {
        method: 'POST', body: new URLSearchParams(new FormData(form)), headers: { Accept: 'application/json' }, credentials: 'omit',
      });
      if (!answer.ok) throw answer.status;
      const to = await answer.json();
      if (to.outside) {
        history.pushState(null, '', to.page);
        location.assign(to.outside);
      } else await reload(to.page);
    } catch { form.submit(); }
  }

  // The app around the page takes the payment over.
  function invoke(button, byHand) {
    const params = JSON.parse(button.dataset.params), seen = button.dataset.params;
    if (!byHand && invoked === seen) return;
    const done = () => { pause = 1000; follow(true); };
    const call = {
      wechatpay: () => window.WeixinJSBridge.invoke('getBrandWCPayRequest', params, done),
      alipay: () => window.AlipayJSBridge.call('tradePay', { tradeNO: params.trade_no }, done),
    }[button.dataset.invoke];
    const bridge = { wechatpay: 'WeixinJSBridge', alipay: 'AlipayJSBridge' }[button.dataset.invoke];
    if (window[bridge]) { invoked = seen; call(); return; }
    if (byHand) document.querySelector('[data-away]').hidden = false;
    document.addEventListener(bridge + 'Ready', () => invoke(button, byHand), { once: true });
  }

  // After success the payer goes back to the merchant, unless something is touched.
  function goBack(link) {
    clearInterval(leaving);
    if (!link) return;
    const soon = document.querySelector('[data-soon]');
    let left = +link.dataset.return;
    const show = () => { soon.hidden = false; soon.querySelector('b').textContent = left; };
    const stay = () => { clearInterval(leaving); soon.hidden = true; };
    for (const kind of ['pointerdown', 'keydown']) addEventListener(kind, stay, { once: true });
    show();
    leaving = setInterval(() => { left -= 1; show(); if (left <= 0) { stay(); location.assign(link.href); } }, 1000);
  }

  function begin(changed) {
    const m = main(), form = m.querySelector('form[data-choose]'), button = m.querySelector('[data-invoke]');
    if (form) form.addEventListener('submit', choose);
    for (const once of m.querySelectorAll('form[data-once]')) {
      once.addEventListener('submit', (e) => {
        const b = once.querySelector('button');
        if (b.disabled) e.preventDefault();
        else setTimeout(() => { b.disabled = true; });
      });
    }
    if (button) { button.addEventListener('click', () => invoke(button, true)); invoke(button, false); }
    if (changed) {
      const title = m.querySelector('.act h2, .act legend, .act h1');
      if (title) { title.tabIndex = -1; title.focus({ preventScroll: true }); }
    }
    count();
    goBack(m.querySelector('[data-return]'));
    follow();
  }

  addEventListener('visibilitychange', () => { if (!document.hidden) { pause = 2000; follow(true); } });
  addEventListener('pageshow', (e) => { if (e.persisted) location.reload(); });
  addEventListener('popstate', () => location.reload());
  begin(false);
})();
