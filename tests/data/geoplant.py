"""GeoPlant: a row for each species of a survey, whose numbers are written as decimals."""

from __future__ import annotations

from pathlib import Path

HEADER = "lon,lat,year,geoUncertaintyInM,areaInM2,region,country,speciesId,surveyId\n"
TRAIN = (
    "3.099038,43.134956,2021,5.0,100.0,MEDITERRANEAN,France,6874.0,212\n"
    "3.099038,43.134956,2021,5.0,100.0,MEDITERRANEAN,France,476.0,212\n"
    "9.88560,56.91214,2017,10.0,78.5,CONTINENTAL,Denmark,11157.0,3018575\n"
)
TEST = "8.25602,55.63705,2018,10.0,CONTINENTAL,Denmark,642\n"


def write(root: Path) -> None:
    """As Kaggle has it, with the patch of one survey."""
    patch = root / "PA_Train_SatellitePatches_RGB" / "pa_train_patches_rgb" / "75" / "85"
    patch.mkdir(parents=True)
    (patch / "3018575.jpeg").write_bytes(b"image")
    (root / "GLC24_PA_metadata_train.csv").write_text(HEADER + TRAIN)
    (root / "GLC24_PA_metadata_test.csv").write_text(
        "lon,lat,year,geoUncertaintyInM,region,country,surveyId\n" + TEST
    )
