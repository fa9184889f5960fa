"""Make the sample inputs beside this file: `python demo/samples/make_samples.py`. All of them are our own work."""

from __future__ import annotations

import csv
import math
import random
from pathlib import Path

import av
import numpy
from PIL import Image, ImageFilter
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

HERE = Path(__file__).parent
PAGES = [
    [
        "1. Agreement on the delivery of bicycles",
        "This agreement was signed on 14 March 2026 between Velo Norte S.L. and the city of Zaragoza.",
        "The first part of the bicycles will be delivered on 2026-05-01, the rest before 30 June 2026.",
        "Questions are answered by Marta Lozano, marta.lozano@velonorte.example, at any time.",
    ],
    [
        "2. Price and payment",
        "The price of all 250 bicycles is EUR 187,500.00 and includes their transport.",
        "A deposit of 18.750,50 € is due when the agreement is signed; a late payment costs $120.",
        "Invoices go to invoices@zaragoza.example and to marta.lozano@velonorte.example.",
    ],
    [
        "3. Warranty",
        "Frames are under warranty for five years, and all other parts until March 1, 2028.",
        "Whoever rides without a helmet does so at their own risk.",
    ],
]


def photo(path: Path) -> None:
    """Hills in the evening, with the grain of a camera, lying on its side as a phone writes it."""
    width, height = 1200, 800
    random_numbers = numpy.random.default_rng(7)
    x, y = numpy.meshgrid(numpy.arange(width), numpy.arange(height))
    picture = numpy.stack([250 - y * 0.15, 170 - y * 0.1, 90 + y * 0.12], axis=-1).astype(float)
    for number in range(5):
        ridge = 380 + number * 85 + 40 * numpy.sin(x / (90 + 37 * number) + number) + 15 * numpy.sin(x / 23 + number)
        picture[y > ridge] = numpy.array([90, 110, 80]) * (1 - number * 0.15)
    picture[(x - 850) ** 2 + (y - 240) ** 2 < 70**2] = [255, 236, 190]
    picture += random_numbers.normal(0, 4, picture.shape)
    image = Image.fromarray(picture.clip(0, 255).astype("uint8")).filter(ImageFilter.GaussianBlur(0.8))
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn it by 90° to the right
    image.rotate(90, expand=True).save(path, quality=82, exif=exif)


def video(path: Path) -> None:
    """Two seconds of a ball that bounces, with a tone."""
    with av.open(str(path), "w") as made:
        picture = made.add_stream("libx264", rate=25, options={"crf": "28"})
        picture.width, picture.height, picture.pix_fmt = 640, 360, "yuv420p"
        sound = made.add_stream("aac", rate=44_100, layout="mono")
        x, y = numpy.meshgrid(numpy.arange(640), numpy.arange(360))
        for number in range(50):
            scene = numpy.full((360, 640, 3), (40, 60, 90), "uint8")
            at = 60 + number * 10, 300 - abs(math.sin(number / 6)) * 220
            scene[(x - at[0]) ** 2 + (y - at[1]) ** 2 < 40**2] = (240, 140, 40)
            made.mux(picture.encode(av.VideoFrame.from_ndarray(scene, format="rgb24")))
        for number in range(0, 88_200, 1024):
            wave = numpy.sin(numpy.arange(number, number + 1024) * 440 * 2 * math.pi / 44_100) * 0.2
            frame = av.AudioFrame.from_ndarray(wave.astype("float32").reshape(1, -1), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 44_100, number
            made.mux(sound.encode(frame))
        made.mux(picture.encode(None))
        made.mux(sound.encode(None))


def document(path: Path) -> None:
    """Three pages of a contract, with headings, dates, amounts and addresses."""
    canvas = Canvas(str(path), pagesize=A4, invariant=1)
    canvas.setTitle("Agreement on the delivery of bicycles")
    for heading, *lines in PAGES:
        canvas.setFont("Helvetica-Bold", 15)
        canvas.drawString(60, 760, heading)
        canvas.setFont("Helvetica", 10)
        for number, line in enumerate(lines):
            canvas.drawString(60, 720 - number * 18, line)
        canvas.showPage()
    canvas.save()


def contacts(path: Path) -> None:
    """Forty rows to import, six of them bad."""
    names = "Ana Bo Carla Dai Elif Femi Gita Hugo Ines Jun".split()
    amounts = random.Random(3)
    rows = [[f"{names[n % 10]} {n}", f"contact{n}@example.com", f"{amounts.uniform(5, 900):.2f}"] for n in range(40)]
    rows[4][1] = "not-an-address"
    rows[11][2] = "many"
    rows[12][0] = ""
    rows[20] = rows[20][:2]
    rows[27][1] = "CONTACT3@example.com"
    rows[33][2] = "1.999"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["name", "email", "amount"], *rows])


def sales(path: Path) -> None:
    """Sales by region and month, for a report."""
    amounts = random.Random(5)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["month", "region", "units", "revenue"])
        for month in range(1, 13):
            for region in ("North", "South", "East", "West"):
                units = amounts.randint(20, 200)
                writer.writerow([f"2026-{month:02}", region, units, f"{units * 24.9:.2f}"])


if __name__ == "__main__":
    photo(HERE / "photo.jpg")
    video(HERE / "video.mp4")
    document(HERE / "contract.pdf")
    contacts(HERE / "contacts.csv")
    sales(HERE / "sales.csv")
