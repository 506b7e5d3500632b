"""Reads and writes picture files as tensors."""

from layerkit.data.pictures.arrangement import Arrangement as Arrangement
from layerkit.data.pictures.arrangement import arrangement as arrangement
from layerkit.data.pictures.finding import find_pictures as find_pictures
from layerkit.data.pictures.formats import FORMATS as FORMATS
from layerkit.data.pictures.formats import SUFFIXES as SUFFIXES
from layerkit.data.pictures.picture import Page as Page
from layerkit.data.pictures.picture import Picture as Picture
from layerkit.data.pictures.pixels import middle as middle
from layerkit.data.pictures.pixels import mirrored as mirrored
from layerkit.data.pictures.pixels import resized as resized
from layerkit.data.pictures.pixels import unit as unit
from layerkit.data.pictures.pixels import with_channels as with_channels
from layerkit.data.pictures.pixels import with_sixteen_bits as with_sixteen_bits
from layerkit.data.pictures.png import write_png as write_png
from layerkit.data.pictures.reading import opened as opened
from layerkit.data.pictures.reading import read_picture as read_picture
from layerkit.data.pictures.reading import read_pixels as read_pixels
from layerkit.data.pictures.scale import Scale as Scale
from layerkit.data.pictures.scale import fitted as fitted
from layerkit.data.pictures.scale import in_whole_numbers as in_whole_numbers
from layerkit.data.pictures.scale import nominal as nominal
from layerkit.data.pictures.source import Source as Source
from layerkit.data.pictures.writing import write_pages as write_pages
from layerkit.data.pictures.writing import write_picture as write_picture
