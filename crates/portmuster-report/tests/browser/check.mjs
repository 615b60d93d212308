// Opens a page in Chromium and checks it: node check.mjs SCENARIO PAGE
//
// PORTMUSTER_BROWSER_TOOLS is the folder in which npm has installed playwright-core and axe-core. With
// PORTMUSTER_PICTURES, pictures of the page are written to that folder.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";

const tools = createRequire(join(process.env.PORTMUSTER_BROWSER_TOOLS, "package.json"));
const { chromium } = tools("playwright-core");
const axe = tools("axe-core").source;
const [scenario, file] = process.argv.slice(2);
const address = pathToFileURL(file).href;
const pictures = process.env.PORTMUSTER_PICTURES;

const browser = await chromium.launch({ executablePath: process.env.PORTMUSTER_CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const troubles = [];

/* Opens the page and notes every error, dialog and request. */
async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) troubles.push(`console: ${message.text()}`); });
  page.on("pageerror", (error) => troubles.push(`error: ${error}`));
  page.on("dialog", async (dialog) => { troubles.push(`dialog: ${dialog.message()}`); await dialog.dismiss(); });
  page.on("request", (request) => { if (request.url() !== address) troubles.push(`request: ${request.url()}`); });
  await page.goto(address);
  if (options.javaScriptEnabled !== false) await page.waitForSelector("html[data-ready=yes]");
  return page;
}

async function picture(page, name) {
  if (pictures) await page.screenshot({ path: join(pictures, `${basename(file, ".html")}-${name}.png`), fullPage: true });
}

async function assertNoOverflow(page, name) {
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= window, `${name}: the page is ${wide} pixels wide in a window of ${window}`);
}

/* axe-core finds nothing that is serious or critical. */
async function assertAccessible(page, name) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  const lines = serious.map(({ id, help, nodes }) => `${id}: ${help}\n  ${nodes.slice(0, 3).map((node) => node.html.slice(0, 200)).join("\n  ")}`);
  assert.deepEqual(lines, [], name);
}

const status = (page) => page.locator("#table output").textContent();
const shown = async (page) => Number((await status(page)).match(/[\d,]+/)[0].replaceAll(",", ""));

const scenarios = {
  /* Light and dark, narrow and wide: nothing overflows, and everybody can read it. */
  async look() {
    for (const [colorScheme, width, isChecked] of [["light", 380, true], ["light", 1280, false], ["dark", 380, false], ["dark", 1600, true]]) {
      const page = await open({ colorScheme, viewport: { width, height: 900 } });
      const name = `${colorScheme}-${width}`;
      await picture(page, name);
      await assertNoOverflow(page, name);
      if (isChecked) await assertAccessible(page, name);
      await page.context().close();
    }
  },

  /* The first card answers each question, and its links lead to parts of the page. */
  async answers() {
    const page = await open();
    const questions = await page.locator(".in-short dt").allTextContents();
    assert.deepEqual(questions, ["Where?", "How sure?", "What changed?", "What to do first?"]);
    const number = (text) => Number(text.replaceAll(",", ""));
    const groups = (await page.locator(".answer .value").allTextContents()).map(number);
    const scope = await page.textContent(".scope");
    assert.equal(groups.reduce((sum, group) => sum + group), number(/([\d,]+) targets/.exec(scope)[1]));
    for (const answer of await page.locator(".answer").all()) {
      const classes = (await answer.locator(".legend b").allTextContents()).map(number);
      assert.equal(classes.reduce((sum, count) => sum + count, 0), number(await answer.locator(".value").textContent()));
    }
    for (const link of await page.locator(".in-short a").all()) {
      assert.equal(await page.locator(await link.getAttribute("href")).count(), 1);
    }
    const legend = await page.locator(".map-legend li").count();
    const colours = await page.locator("#map path[class^=f-]").evaluateAll((paths) => paths.map((path) => path.getAttribute("class")));
    const explained = await page.locator(".map-legend li rect").evaluateAll((swatches) => swatches.map((swatch) => swatch.getAttribute("class")));
    assert.ok(legend >= colours.length && colours.every((colour) => explained.includes(colour)), "the legend has each colour of the map");
    assert.equal(await page.locator("#loading").count(), 0, "the table no longer says that it is loading");
    const words = await page.locator(".words dt").allTextContents();
    assert.ok(["target", "refused", "rejected", "no answer", "tarpit"].every((word) => words.includes(word)), "the page explains its words");
    assert.equal(await page.locator(".grid-box tr.current").evaluate((row) => getComputedStyle(row).boxShadow), "none", "no row looks selected");
    for (const width of [380, 1280]) {
      await page.setViewportSize({ width, height: 900 });
      assert.ok(await page.locator(".mark-new").first().isVisible(), `new telnet is marked in a window of ${width}`);
      const broken = await page.locator(".actions .command span").evaluateAll((words) => words.filter((word) => word.textContent.startsWith("--") && word.getClientRects().length > 1).map((word) => word.textContent));
      assert.deepEqual(broken, [], `no option is broken in a window of ${width}`);
      for (const name of [".tallies", ".doubts", ".grid-box table"]) {
        const cut = await page.locator(name).evaluateAll((tables) => tables.filter((table) => table.scrollWidth > table.parentElement.clientWidth + 1).length);
        assert.equal(cut, 0, `${name} fits in a window of ${width}`);
      }
    }
  },

  /* The page without its script is never drawn where the script can run: the class is set before the body. */
  async flash() {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.addInitScript(() => {
      new MutationObserver(() => {
        if (document.body && !window.classAtBody) window.classAtBody = document.documentElement.className || "none";
      }).observe(document, { childList: true, subtree: true });
    });
    await page.goto(address);
    await page.waitForSelector("html[data-ready=yes]");
    assert.equal(await page.evaluate(() => window.classAtBody), "js");
    assert.ok(await page.isHidden("#first-rows"));
  },

  /* The filters, the table, the evidence and the map work with pointer and keyboard. */
  async use() {
    const page = await open({ permissions: ["clipboard-read", "clipboard-write"] });
    const all = await shown(page);
    const telnet = Number(await page.evaluate(() => document.querySelector(".a-telnet .value").textContent));
    assert.ok(telnet > 0 && telnet < all, "the page has telnet and other targets");

    await page.click("button[data-filter=telnet]");
    assert.equal(await shown(page), telnet, "the action shows its targets");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("Enter");
    await page.waitForSelector(".detail:not([hidden])");
    assert.match(await page.textContent(".detail dl"), /connect.*first byte.*greeting/s);
    await picture(page, "evidence");
    await page.keyboard.press("Escape");
    assert.ok(await page.isHidden(".detail"));

    await page.click("text=Reset");
    assert.equal(await shown(page), all);
    await page.fill("input[type=search]", ":22 openssh_7.4");
    const weak = await shown(page);
    assert.ok(weak > 0 && weak < all, "the search finds some targets");
    await page.fill("input[type=search]", "10.20.0.0/20");
    const inNetwork = await shown(page);
    assert.ok(inNetwork > 0 && inNetwork < all, "the search finds a network");
    await page.fill("input[type=search]", "no such text");
    assert.equal(await shown(page), 0);
    await page.click("text=Reset");

    const column = async () => page.locator(".grid-box tbody tr[data-at] td:nth-child(3)").allTextContents();
    const sort = page.locator(".grid-box thead button", { hasText: "Software" });
    await sort.click();
    const ascending = (await column()).filter(Boolean);
    const sorted = ascending.slice().sort((one, other) => one.localeCompare(other, "en", { numeric: true }));
    assert.deepEqual(ascending, sorted);
    assert.equal(await page.locator(".grid-box th[aria-sort=ascending]").textContent(), "Software or protocol");
    await sort.click();
    assert.notDeepEqual(await column(), ascending);

    await page.focus(".grid-box");
    await page.keyboard.press("End");
    const last = await page.locator(".grid-box tr.current").getAttribute("data-at");
    assert.equal(Number(last), all - 1, "the last row is in sight");

    await page.click("summary:has-text('Columns')");
    const before = await page.locator(".grid-box thead th").count();
    await page.uncheck(".chooser label:has-text('Greeting') input");
    assert.equal(await page.locator(".grid-box thead th").count(), before - 1);
    await page.click("summary:has-text('Columns')");

    await page.click("button[data-filter=telnet]");
    await page.click("text=Copy as CSV");
    await page.waitForFunction(() => document.querySelector("#table output").textContent.startsWith("Copied"));
    const csv = await page.evaluate(() => navigator.clipboard.readText());
    const lines = csv.trimEnd().split("\n");
    assert.equal(lines.length, telnet + 1);
    assert.match(lines[0], /^Target,Service,/);

    await page.focus("#map-box");
    await page.keyboard.press("ArrowRight");
    const said = await page.textContent("#map-says");
    assert.match(said, /^10\.20\./);
    await page.keyboard.press("Enter");
    assert.ok(await shown(page) < all, "the cell filters the table");
    await page.locator("#map").scrollIntoViewIfNeeded();
    const box = await page.locator("#map").boundingBox();
    await page.mouse.move(box.x + box.width * 0.5, box.y + box.height * 0.6);
    await page.waitForFunction((said) => document.querySelector("#map-says").textContent !== said, said);
    await assertNoOverflow(page, "after use");
    await assertAccessible(page, "after use");
  },

  /* Without the script: the charts and the first rows, with their evidence. */
  async plain() {
    const page = await open({ javaScriptEnabled: false });
    assert.equal(await page.locator("html.js").count(), 0);
    assert.ok(await page.isVisible("#map"));
    assert.ok(await page.isVisible("#first-rows table"));
    assert.ok(await page.isHidden("#table"));
    const rows = await page.locator("#first-rows tbody tr").count();
    assert.ok(rows > 0 && rows <= 200);
    await page.locator("#first-rows summary").first().click();
    assert.ok(await page.isVisible("#first-rows details[open] dl"));
    await picture(page, "plain");
    await assertNoOverflow(page, "plain");
  },

  /* On paper: the first rows instead of the table, and nothing that only a screen can do. */
  async print() {
    const page = await open();
    await page.emulateMedia({ media: "print" });
    await page.setViewportSize({ width: 720, height: 1000 });
    assert.ok(await page.isVisible("#first-rows table"));
    assert.ok(await page.isHidden("#table"));
    await picture(page, "print");
    await assertNoOverflow(page, "print");
    const pdf = await page.pdf({ preferCSSPageSize: true, printBackground: true, ...(pictures ? { path: join(pictures, `${basename(file, ".html")}.pdf`) } : {}) });
    assert.ok(pdf.subarray(0, 5).equals(Buffer.from("%PDF-")) && pdf.length > 10_000);
  },

  /* Text of servers that try to be markup, script and layout stays text. */
  async hostile() {
    for (const javaScriptEnabled of [true, false]) {
      for (const width of [380, 1280]) {
        const page = await open({ javaScriptEnabled, viewport: { width, height: 900 } });
        await picture(page, `${javaScriptEnabled ? "script" : "plain"}-${width}`);
        await assertNoOverflow(page, `hostile ${width}`);
        const heights = await page.locator("thead th").evaluateAll((cells) => cells.map((cell) => cell.clientHeight));
        assert.ok(Math.max(...heights) < 100, "no name makes the head of a table tall");
        if (javaScriptEnabled) {
          assert.equal(await page.evaluate(() => window.hacked), undefined);
          assert.equal(await page.locator("img, iframe, object, embed, form, a[href^=javascript]").count(), 0);
          assert.equal(await page.locator("script").count(), 5);
          await page.focus(".grid-box");
          for (let row = 0; row < 4; row++) {
            await page.keyboard.press("Enter");
            await page.waitForSelector(".detail:not([hidden])");
            assert.doesNotMatch(await page.textContent(".detail"), /[\0\u202a-\u202e\u2066-\u2069]/);
            await page.keyboard.press("ArrowDown");
          }
          await assertNoOverflow(page, `hostile evidence ${width}`);
          await assertAccessible(page, "hostile");
        }
        await page.context().close();
      }
    }
  },

  /* Many open targets: every row can be reached, and filters count right. */
  async many() {
    const page = await open();
    const all = await shown(page);
    assert.ok(all > 8e6 / 32, "the table is higher than an element may be");
    await page.focus(".grid-box");
    await page.keyboard.press("End");
    assert.equal(Number(await page.locator(".grid-box tr.current").getAttribute("data-at")), all - 1);
    const box = page.locator(".grid-box");
    await box.evaluate((element) => { element.scrollTop = element.scrollHeight / 2; });
    await page.waitForFunction((all) => {
      const first = Number(document.querySelector(".grid-box tr[data-at]").dataset.at);
      return Math.abs(first - all / 2) < all / 50;
    }, all);
    await page.fill("input[type=search]", "10.0.1.0/24");
    assert.equal(await shown(page), 256);
  },
};

try {
  await scenarios[scenario]();
  assert.deepEqual(troubles, []);
} finally {
  await browser.close();
}
