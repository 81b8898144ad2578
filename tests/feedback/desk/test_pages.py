"""The review pages in Chromium: reviewers see what was written, and what they do there arrives as they meant it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from feedback.desk.argilla_desk import ArgillaDesk
from feedback.desk.page_text import read_shown
from feedback.desk.pull import pull
from feedback.desk.push import push
from feedback.rubric import read_rubric
from feedback.schemas import Message, Prompt, Purpose, Queue, RankAnswer, RateAnswer, ReviewItem
from feedback.store.store import Store
from tests.feedback.desk.people_of_argilla import PASSWORD, new_annotator
from tests.people import a_completion, a_prompt, a_rank_item, a_rate_item, a_rubric

if TYPE_CHECKING:
    import httpx

    from review_ui.appliance.appliance import Running

CHROMIUM = shutil.which("chromium")
pytestmark = [pytest.mark.argilla, pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]

WRITTEN = ("It is <b>four</b>, __init__ says: &lt; <script>document.title = 'run'</script>"
           "<img src=x onerror=document.title='run'> 🙂 surely")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser: Any, appliance: Running, owner: httpx.Client, real: ArgillaDesk) -> Iterator[Callable[[str], Any]]:
    """Signs a new reviewer in and opens a dataset for them."""
    page = browser.new_page(viewport={"width": 1366, "height": 768})

    def go(dataset: str) -> Any:
        name = f"sim-page-{uuid4().hex[:8]}"
        new_annotator(owner, name, real.workspace)
        page.goto(f"{appliance.url}/sign-in")
        page.locator("input").nth(0).fill(name)
        page.locator("input").nth(1).fill(PASSWORD)
        page.keyboard.press("Enter")
        page.get_by_text("Your datasets").wait_for()
        page.goto(f"{appliance.url}/dataset/{real.datasets()[dataset].id}/annotation-mode")
        page.get_by_text("Submit", exact=True).wait_for()
        return page

    yield go
    page.close()


def drag_over(page: Any, word: str) -> None:
    """Mark a word of the answer with the mouse."""
    box = page.evaluate("""word => {
        const node = document.querySelector(".span-annotation__field").firstChild, range = new Range();
        const start = node.textContent.indexOf(word);
        range.setStart(node, start); range.setEnd(node, start + word.length);
        const box = range.getBoundingClientRect();
        return [box.left, box.right, (box.top + box.bottom) / 2]; }""", word)
    page.mouse.move(box[0] + 1, box[2])
    page.mouse.down()
    page.mouse.move(box[1] - 1, box[2], steps=8)
    page.mouse.up()


def marked(word: str, written: str, real: ArgillaDesk, store: Store, visit: Callable[[str], Any]) -> RateAnswer:
    """What is pulled after a reviewer has marked a word of this answer and rated it."""
    completion = a_completion(a_prompt(), 8, text=written)
    store.add_completions([completion])
    store.add_items([a_rate_item(completion)])
    real.create_workspace()
    push(real, store, a_rubric(), [a_rate_item(completion)])
    page = visit("rate")
    assert read_shown(page.locator(".span-annotation__field").text_content()) == written
    assert page.title() != "run"
    page.get_by_text("Hallucinated", exact=True).first.click()
    drag_over(page, word)
    page.get_by_text("Incorrect", exact=True).click()
    for criterion in a_rubric().criteria:
        page.locator(f"label[for={criterion.name}_2]").click()
    page.get_by_text("Submit", exact=True).click()
    page.get_by_text("You have no pending records").or_(page.get_by_text("100")).first.wait_for()
    pull(real, store, a_rubric())
    answer = store.live_ratings()[0].answer
    assert isinstance(answer, RateAnswer)
    return answer


def test_a_rate_page_shows_the_very_characters_and_a_mark_lands_on_its_word(
        real: ArgillaDesk, store: Store, visit: Callable[[str], Any]) -> None:
    answer = marked("surely", WRITTEN, real, store, visit)
    assert [WRITTEN[span.start:span.end] for span in answer.spans] == ["surely"]
    assert answer.criteria == {criterion.name: 2 for criterion in a_rubric().criteria}


OVER_TEXT = """() => {
    const name = document.querySelector("[class*=span-entity__container]:has(:hover) > *").getBoundingClientRect();
    const range = new Range();
    range.selectNodeContents(document.querySelector(".span-annotation__field"));
    // Letters without a descender end 3 px above the box of their line, and small ones begin as far below its top.
    return [...range.getClientRects()].filter(line => name.bottom > line.top + 3 && name.top < line.bottom - 3).length; }"""
HUES = """() => [...document.querySelectorAll(".questions-form .input-button[style*=hsl]")].map(
    one => Number(/hsl\\((\\d+)/.exec(one.getAttribute("style"))[1]))"""


def test_the_name_of_a_mark_covers_no_words_and_marks_differ_in_colour(
        real: ArgillaDesk, store: Store, visit: Callable[[str], Any]) -> None:
    completion = a_completion(a_prompt(), 8, text=about("free", 2))
    store.add_completions([completion])
    store.add_items([a_rate_item(completion)])
    real.create_workspace()
    push(real, store, read_rubric(RUBRICS / "summary.yaml"), [a_rate_item(completion)])
    page = visit("rate")
    page.locator(".questions-form").get_by_text("Contradicted (minor)").click()
    drag_over(page, "burns")
    page.get_by_text("Contradicted (minor)").first.hover()
    assert page.evaluate(OVER_TEXT) == 0
    hues = page.evaluate(HUES)
    assert len(hues) == 4
    assert min((one - other) % 360 for one in hues for other in hues if one != other) > 40


def test_a_mark_lands_on_its_word_in_a_text_from_right_to_left(
        real: ArgillaDesk, store: Store, visit: Callable[[str], Any]) -> None:
    written = "الجواب هو 42 شخصا (see RFC 2119)، כן, وهذا مؤكد تماما"
    assert [written[span.start:span.end] for span in marked("مؤكد", written, real, store, visit).spans] == ["مؤكد"]


def test_a_rank_page_takes_a_tie_from_the_keyboard(real: ArgillaDesk, store: Store, visit: Callable[[str], Any]) -> None:
    (item,) = store.items(queue=Queue.RANK)
    real.create_workspace()
    push(real, store, a_rubric(), [item])
    page = visit("rank")
    page.get_by_text("Rank the answers").wait_for()
    for rank in "2113":
        page.keyboard.press(rank)
        page.wait_for_timeout(400)
    page.get_by_text("Submit", exact=True).click()
    page.get_by_text("You have no pending records").or_(page.get_by_text("100")).first.wait_for()
    pull(real, store, a_rubric())
    one, two, three, four = item.completion_ids
    tiers = (tuple(sorted((two, three))), (one,), (four,))
    assert [rating.answer for rating in store.live_ratings()] == [RankAnswer(tiers=tiers)]


SENTENCES = ("Stop charging the device and keep it away from anything that burns. ", "Ask for the {} collection under Settings. ",
             "A courier brings a box within {} working days.\n\n", "Leave it switched off on a stone floor until then. ")
NEEDS_SCROLLING = """() => [".record__content", ".questions-form__content", ".wrapper__records", ".fields .content-area",
    ".fields .text_field_component__area"].filter(
    name => [...document.querySelectorAll(name)].some(one => one.scrollHeight > one.clientHeight + 1))"""
OUT_OF_SIGHT = """() => [...document.querySelectorAll(".fields > *, .questions > *, .button--submit")].filter(one => {
    const box = one.getBoundingClientRect();
    for (let around = one.parentElement; around; around = around.parentElement) {
        const edge = around.getBoundingClientRect(), cuts = getComputedStyle(around).overflowY !== "visible";
        if (cuts && (box.bottom > edge.bottom + 1 || box.top < edge.top - 1)) return true;
    }
    return !box.height || box.bottom > innerHeight || box.right > innerWidth;
}).map(one => one.textContent.trim().slice(0, 30))"""
READ_TO_THE_END = """() => [...document.querySelectorAll(".fields .content-area")].slice(2).every(one => {
    one.scrollTop = one.scrollHeight;
    const range = new Range();
    range.selectNodeContents(one);
    return range.getBoundingClientRect().bottom <= one.getBoundingClientRect().bottom + 1; })"""
RUBRICS = Path(str(files("configs"))) / "rubric"
DIFFERENT = "() => [...(CSS.highlights.get('redpen-difference') || [])].map(range => range.toString())"


def about(kind: str, days: int) -> str:
    """An answer of 1 kB."""
    return ("".join(SENTENCES).format(kind, days) * 5)[:1000]


@pytest.mark.parametrize("name", ["answers", "summary", "code", "safety"])
def test_one_answer_and_its_whole_form_need_no_scrolling(
        name: str, real: ArgillaDesk, store: Store, visit: Callable[[str], Any]) -> None:
    prompt = a_prompt(5, reference=about("free", 2)[:400])
    shown = a_completion(prompt, 20, text=about("free", 2))
    store.add_prompts([prompt])
    store.add_completions([shown])
    store.add_items([a_rate_item(shown)])
    real.create_workspace()
    push(real, store, read_rubric(RUBRICS / f"{name}.yaml"), [a_rate_item(shown)])
    page = visit("rate")
    page.wait_for_timeout(500)
    assert page.evaluate(OUT_OF_SIGHT) == []
    page.set_viewport_size({"width": 1500, "height": 900})
    page.wait_for_timeout(500)
    assert page.evaluate(NEEDS_SCROLLING) == []


def compared(count: int, store: Store) -> ReviewItem:
    """So many answers of 1 kB, with evidence, to be compared."""
    prompt = a_prompt(5, reference=about("free", 2)[:400])
    answers = [a_completion(prompt, 20 + number, text=about(kind, 2 + 3 * number))
               for number, kind in enumerate(("free", "paid", "slow", "local", "distant", "quick")[:count])]
    item = a_rank_item(answers)
    store.add_prompts([prompt])
    store.add_completions(answers)
    store.add_items([item])
    return item


@pytest.mark.parametrize("name", sorted(path.stem for path in RUBRICS.glob("*.yaml")))
def test_two_answers_with_evidence_need_no_scrolling(
        name: str, real: ArgillaDesk, store: Store, visit: Callable[[str], Any]) -> None:
    item = compared(2, store)
    real.create_workspace()
    push(real, store, read_rubric(RUBRICS / f"{name}.yaml"), [item])
    page = visit("rank-of-2")
    page.wait_for_timeout(500)
    assert page.evaluate(OUT_OF_SIGHT) == []
    page.set_viewport_size({"width": 1500, "height": 900})
    page.wait_for_timeout(500)
    assert page.evaluate(NEEDS_SCROLLING) == []


@pytest.mark.parametrize(("count", "dataset"), [(4, "rank"), (6, "rank-of-6")])
def test_more_answers_than_fit_scroll_each_in_its_own_column(
        count: int, dataset: str, real: ArgillaDesk, store: Store, visit: Callable[[str], Any]) -> None:
    item = compared(count, store)
    real.create_workspace()
    push(real, store, a_rubric(), [item])
    page = visit(dataset)
    page.wait_for_timeout(500)
    assert page.evaluate(OUT_OF_SIGHT) == []
    assert page.locator(".redpen-more").count() > count
    assert page.evaluate(READ_TO_THE_END)
    page.wait_for_timeout(200)
    assert page.locator(".redpen-more").count() == 1


def test_of_a_conversation_that_does_not_fit_the_last_message_is_in_sight(
        real: ArgillaDesk, store: Store, visit: Callable[[str], Any]) -> None:
    said = ("user", "assistant", "user", "assistant", "user")
    prompt = Prompt.of([Message(role=role, content=f"Message {number}.\n{about('free', number)[:200]}")  # type: ignore[arg-type]
                        for number, role in enumerate(said)])
    answers = [a_completion(prompt, number, text=about("free", number)) for number in (2, 3)]
    item = a_rank_item(answers)
    store.add_prompts([prompt])
    store.add_completions(answers)
    store.add_items([item])
    real.create_workspace()
    push(real, store, a_rubric(), [item])
    page = visit("rank-of-2")
    question = page.locator(".fields .content-area").first
    page.locator(".redpen-before").wait_for()
    assert question.evaluate("one => one.scrollTop + one.clientHeight >= one.scrollHeight - 1")
    assert "Message 4" in question.inner_text()


def test_an_answer_that_has_little_in_common_with_the_others_is_not_marked_from_end_to_end(
        real: ArgillaDesk, store: Store, visit: Callable[[str], Any]) -> None:
    prompt = a_prompt(5)
    unlike = "Nobody here knows anything about batteries, sorry; try our shop next week, or write us a short letter instead."
    three = [a_completion(prompt, 20 + at, text=text) for at, text in enumerate((about("free", 2), about("paid", 5), unlike))]
    item = a_rank_item(three)
    store.add_completions(three)
    store.add_items([item])
    real.create_workspace()
    push(real, store, a_rubric(), [item])
    page = visit("rank-of-3")
    page.wait_for_function("() => CSS.highlights.get('redpen-difference')")
    assert set(page.evaluate(DIFFERENT)) == {"free", "paid", "2", "5"}


def test_two_answers_of_a_kilobyte_and_the_whole_form_need_no_scrolling_and_a_rewrite_starts_from_the_better_one(
        real: ArgillaDesk, store: Store, visit: Callable[[str], Any]) -> None:
    prompt = a_prompt(5)
    two = [a_completion(prompt, 20, text=about("free", 2)), a_completion(prompt, 21, text=about("paid", 5))]
    item = ReviewItem.of(queue=Queue.RANK, purpose=Purpose.TRAIN, round=1, prompt_id=prompt.id,
                         completion_ids=[one.id for one in two])
    store.add_completions(two)
    store.add_items([item])
    real.create_workspace()
    push(real, store, a_rubric(), [item])
    page = visit("rank-of-2")
    page.set_viewport_size({"width": 1500, "height": 900})
    page.wait_for_function("() => CSS.highlights.get('redpen-difference')")
    assert page.evaluate(NEEDS_SCROLLING) == []
    assert set(page.evaluate(DIFFERENT)) == {"free", "paid", "2", "5"}
    page.get_by_text("Answer 2 is better").click()
    page.get_by_text("Start from the best").click()
    page.wait_for_timeout(500)
    page.keyboard.press("End")
    page.keyboard.type(" Amended.")
    page.get_by_text("Submit", exact=True).click()
    page.get_by_text("You have no pending records").or_(page.get_by_text("100")).first.wait_for()
    pull(real, store, a_rubric())
    (rating,) = store.live_ratings()
    assert isinstance(rating.answer, RankAnswer)
    texts = {one.id: one.text for one in two}
    assert rating.answer.tiers == ((item.completion_ids[1],), (item.completion_ids[0],))
    assert rating.answer.rewrite is not None
    assert rating.answer.rewrite.replace(" Amended.", "").split() == texts[item.completion_ids[1]].split()
