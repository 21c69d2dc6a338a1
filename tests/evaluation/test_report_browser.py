"""The report in a real browser: it works from a file with keyboard, pointer and touch, and reads without JavaScript."""

import base64
import json
import shutil
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from report_folders import write_ablation

from hybridprior.evaluation.report import from_folder, render

pytest.importorskip("selenium", reason="selenium is not installed")

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.interaction import POINTER_TOUCH
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
DRIVER = shutil.which("chromedriver")
MISSING = CHROMIUM is None or DRIVER is None

pytestmark = pytest.mark.skipif(MISSING, reason="there is no chromium with its chromedriver here")

FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1200,1000", "--force-prefers-reduced-motion")


@contextmanager
def _browser(*flags: str, logs: tuple[str, ...] = ()) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, *flags):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", dict.fromkeys(logs, "ALL"))
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, photograph: torch.Tensor) -> Path:
    x = photograph[..., 10:82, 8:104].contiguous()
    folder = write_ablation(tmp_path_factory.mktemp("report") / "study", x, images=("otter", 'a "<b>ü'))
    path = folder / "report.html"
    path.write_text(render(from_folder(folder)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def shared() -> Iterator[webdriver.Chrome]:
    with _browser() as driver:
        yield driver


@pytest.fixture
def driver(shared: webdriver.Chrome, page: Path) -> webdriver.Chrome:
    """The page, newly opened."""
    shared.get(page.as_uri())
    return shared


def _stage(driver: webdriver.Chrome) -> tuple[WebElement, WebElement, WebElement]:
    """Return the first image's stage, its slider, and the left image."""
    stage = driver.find_element(By.CSS_SELECTOR, ".stage")
    return stage, stage.find_element(By.TAG_NAME, "input"), stage.find_element(By.CSS_SELECTOR, "img.left")


def _clip(image: WebElement) -> str:
    return image.value_of_css_property("clip-path")


def test_it_opens_from_a_file_without_errors_and_asks_for_nothing(page: Path) -> None:
    with _browser(logs=("browser", "performance")) as driver:
        driver.get(page.as_uri())
        assert driver.get_log("browser") == []
        events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
        asked = [
            event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"
        ]
        assert [url for url in asked if not url.startswith("data:")] == [page.as_uri()]
        assert driver.title == "Ablation: study"
        broken = "return [...document.images].filter((i) => !i.complete || !i.naturalWidth).length"
        assert driver.execute_script(broken) == 0
        assert driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")


def test_arrow_keys_move_the_divider(driver: webdriver.Chrome) -> None:
    _, slider, left = _stage(driver)
    assert slider.aria_role == "slider"
    assert "otter" in slider.accessible_name
    driver.execute_script("arguments[0].focus()", slider)
    assert _clip(left) == "inset(0px 50% 0px 0px)"
    slider.send_keys(Keys.ARROW_RIGHT * 3)
    assert _clip(left) == "inset(0px 47% 0px 0px)"
    slider.send_keys(Keys.ARROW_LEFT * 5)
    assert _clip(left) == "inset(0px 52% 0px 0px)"
    slider.send_keys(Keys.HOME)
    assert _clip(left) == "inset(0px 100% 0px 0px)"
    assert slider.get_attribute("aria-valuetext") == "0 % degraded, 100 % skip + auto"


@pytest.mark.parametrize("touch", [False, True])
def test_the_divider_follows_the_pointer(driver: webdriver.Chrome, touch: bool) -> None:
    stage, slider, left = _stage(driver)
    driver.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", stage)
    width = stage.size["width"]
    pointer = PointerInput(POINTER_TOUCH, "finger") if touch else PointerInput("mouse", "mouse")
    builder = ActionBuilder(driver, mouse=pointer)
    action = builder.pointer_action
    action.move_to(stage, 0, 0).pointer_down().move_to(stage, round(width / 8), 5).move_to(stage, round(width / 4), 5)
    action.pointer_up().move_to(stage, -round(width / 4), 5)
    builder.perform()
    assert int(slider.get_property("value")) == pytest.approx(75, abs=1)
    assert _clip(left) == f"inset(0px {100 - int(slider.get_property('value'))}% 0px 0px)"
    assert driver.switch_to.active_element == slider


def test_any_two_images_can_be_compared(driver: webdriver.Chrome) -> None:
    stage, slider, left = _stage(driver)
    right = stage.find_element(By.CSS_SELECTOR, "img.right")
    choices = [Select(driver.find_element(By.CSS_SELECTOR, f"select.{side}")) for side in ("left", "right")]
    assert len(choices[0].options) == 2 * (1 + 5) + 1
    before = left.get_property("src"), right.get_property("src")
    choices[0].select_by_visible_text("truth")
    after = left.get_property("src"), right.get_property("src")
    assert after[0] != before[0]
    assert after[1] == before[1]
    assert left.get_attribute("alt") == "truth"
    assert stage.find_element(By.CSS_SELECTOR, ".tag.left").text == "truth"
    assert "% truth" in slider.get_attribute("aria-valuetext")
    swap = driver.find_element(By.CSS_SELECTOR, "button.swap")
    assert swap.accessible_name == "Swap left and right"
    swap.send_keys(Keys.ENTER)
    assert (left.get_property("src"), right.get_property("src")) == after[::-1]


def _pixels(driver: webdriver.Chrome, stage: WebElement) -> bytes:
    import io

    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(stage.screenshot_as_base64))) as image:
        return image.convert("L").resize((8, 8)).tobytes()


def test_what_is_seen_is_the_left_image_at_the_left(driver: webdriver.Chrome) -> None:
    stage, slider, _ = _stage(driver)
    driver.execute_script("arguments[0].focus()", slider)
    choices = [Select(driver.find_element(By.CSS_SELECTOR, f"select.{side}")) for side in ("left", "right")]
    for choice in choices:
        choice.select_by_visible_text("truth")
    driver.find_element(By.CSS_SELECTOR, ".difference").click()
    assert max(_pixels(driver, stage)) <= 1
    choices[0].select_by_index(0)
    assert sum(_pixels(driver, stage)) > 64 * 10


def test_a_column_is_sorted_by_click_and_by_key(driver: webdriver.Chrome) -> None:
    table = driver.find_elements(By.CSS_SELECTOR, "table.sortable")[-1]
    heads = table.find_elements(By.TAG_NAME, "th")
    names = [head.text.split("\n")[0] for head in heads]
    place = next(index for index, name in enumerate(names) if name.startswith("PSNR"))

    def column(index: int) -> list[str]:
        return driver.execute_script(
            "return [...arguments[0].tBodies[0].rows].map((row) => row.cells[arguments[1]].textContent)", table, index
        )

    assert {head.get_attribute("aria-sort") for head in heads} == {"none"}
    button = heads[place].find_element(By.TAG_NAME, "button")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", button)
    button.click()
    assert heads[place].get_attribute("aria-sort") == "descending"
    values = [float(text) for text in column(place)]
    assert values == sorted(values, reverse=True)
    button.send_keys(Keys.ENTER)
    assert heads[place].get_attribute("aria-sort") == "ascending"
    assert [float(text) for text in column(place)] == sorted(values)
    heads[0].find_element(By.TAG_NAME, "button").send_keys(Keys.SPACE)
    assert heads[place].get_attribute("aria-sort") == "none"
    assert column(0) == sorted(column(0))
    assert "Sorted by" in driver.find_element(By.ID, "announcement").get_attribute("textContent")


@pytest.mark.parametrize("clipboard", ["browser", "none", "refused"])
def test_a_table_is_copied_as_markdown_and_as_latex(driver: webdriver.Chrome, clipboard: str) -> None:
    if clipboard == "none":
        driver.execute_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    elif clipboard == "refused":
        driver.execute_script("navigator.clipboard.writeText = () => Promise.reject(new Error('no'))")
    markdown, latex = driver.find_elements(By.CSS_SELECTOR, "button.copy")[:2]
    for button, start in ((markdown, "| degradation | parts | n |"), (latex, "\\begin{table}")):
        driver.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", button)
        button.click()
        WebDriverWait(driver, 30).until(lambda _, button=button: button.text == "Copied")
        driver.execute_script("document.body.prepend(document.createElement('textarea'))")
        area = driver.find_element(By.TAG_NAME, "textarea")
        area.click()
        ActionChains(driver).key_down(Keys.CONTROL).send_keys("v").key_up(Keys.CONTROL).perform()
        pasted = area.get_property("value")
        expected = driver.execute_script(
            "return document.getElementById(arguments[0].dataset.from).textContent", button
        )
        assert pasted == expected
        assert pasted.startswith(start)
        driver.execute_script("document.querySelector('textarea').remove()")


def test_everything_can_be_reached_by_tab(driver: webdriver.Chrome) -> None:
    seen = set()
    for _ in range(40):
        ActionChains(driver).send_keys(Keys.TAB).perform()
        seen.add(driver.execute_script("const a = document.activeElement; return a.className || a.type || a.tagName"))
    assert {"skip", "scroll", "copy", "left", "swap", "right", "difference", "sharp", "range"} <= seen


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_the_paper(driver: webdriver.Chrome, scheme: str) -> None:
    feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
    paper = _luminance(driver.find_element(By.TAG_NAME, "html").value_of_css_property("background-color"))
    assert (paper > 0.5) == (scheme == "light")
    for selector in ("h1", "td", "figcaption", ".aside", "dt", "button.copy", "nav a"):
        ink = _luminance(driver.find_element(By.CSS_SELECTOR, selector).value_of_css_property("color"))
        dark, bright = sorted((ink, paper))
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, selector


def _luminance(colour: str) -> float:
    """Return the relative luminance of the Web Content Accessibility Guidelines."""
    numbers = [float(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in numbers]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_phone_shows_it_without_scrolling_sideways(driver: webdriver.Chrome) -> None:
    small = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", small)
    try:
        assert driver.execute_script("return [innerWidth, document.documentElement.scrollWidth]") == [360, 360]
        stage, _, _ = _stage(driver)
        assert 300 < stage.size["width"] <= 360
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_without_javascript_all_images_and_tables_are_read(page: Path) -> None:
    with _browser("--blink-settings=scriptEnabled=false") as driver:
        driver.get(page.as_uri())
        assert "js" not in (driver.find_element(By.TAG_NAME, "html").get_attribute("class") or "")
        assert not driver.find_element(By.CSS_SELECTOR, ".compare").is_displayed()
        images = driver.find_elements(By.CSS_SELECTOR, ".sheet img")
        assert len(images) == 2 * (2 * 6 + 1)
        assert all(image.is_displayed() and image.size["width"] > 150 for image in images[:4])
        assert all(button.is_displayed() is False for button in driver.find_elements(By.CSS_SELECTOR, "button")[:4])
        rows = driver.find_elements(By.CSS_SELECTOR, "table.sortable")[-1].find_elements(By.CSS_SELECTOR, "tbody tr")
        assert len(rows) == 20
        assert "skip + auto" in rows[4].text
        driver.find_element(By.CSS_SELECTOR, ".take summary").click()
        assert driver.find_element(By.CSS_SELECTOR, ".take pre").text.startswith("| degradation")
        image = base64.b64decode(images[0].screenshot_as_base64)
        assert struct.unpack(">I", image[16:20])[0] > 150
