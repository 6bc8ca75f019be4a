import io
import pickle
import socket
import tarfile
import threading
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from torchvision.datasets import CIFAR10

from frame import UserError
from frame.input.data_checks import refuse_unread
from frame_plugins.data.cifar10 import CLASSES, Cifar10, frame_components, original

TRAIN_BATCHES = [f"data_batch_{number}" for number in range(1, 6)]
BATCH_SIZE = 4


@pytest.fixture
def batches(monkeypatch):
    """A tiny dataset in the original's format: file name -> bytes. torchvision takes it for the original."""
    rng = np.random.default_rng(0)
    files = {}
    for name in [*TRAIN_BATCHES, "test_batch"]:
        data = rng.integers(0, 256, (BATCH_SIZE, 3072), dtype=np.uint8)
        files[name] = pickle.dumps({"data": data, "labels": rng.integers(0, 10, BATCH_SIZE).tolist()}, protocol=2)
    files["batches.meta"] = pickle.dumps({"label_names": list(CLASSES)}, protocol=2)
    sums = {name: md5(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(CIFAR10, "train_list", [[name, sums[name]] for name in TRAIN_BATCHES])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": sums["batches.meta"]})
    return files


@pytest.fixture
def archive(batches, monkeypatch):
    """The bytes of `cifar-10-python.tar.gz`."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, content in batches.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    monkeypatch.setattr(CIFAR10, "tgz_md5", md5(file.getvalue()).hexdigest())
    return file.getvalue()


@pytest.fixture
def serve(monkeypatch):
    """Call with the bytes that a loopback server is to send for the download; `promised` is its Content-Length."""
    servers = []

    def start(content, promised=None, meanwhile=lambda: None):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                meanwhile()
                self.send_response(200)
                self.send_header("Content-Length", str(promised or len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args): ...

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, args=(0.01,), daemon=True).start()
        download_from(monkeypatch, servers[-1].server_port)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def download_from(monkeypatch, port):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(CIFAR10, "url", f"http://127.0.0.1:{port}/cifar-10-python.tar.gz")


def write_batches(root, batches):
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name, content in batches.items():
        (folder / name).write_bytes(content)
    return folder


def write_tree(root, per_class=2, size=(32, 32)):
    rng = np.random.default_rng(1)
    for part in ("train", "test"):
        for name in CLASSES:
            (root / part / name).mkdir(parents=True)
            for number in range(per_class):
                pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
                PIL.Image.fromarray(pixels).save(root / part / name / f"{number:04}.png")


def assert_is_the_original(data, batches):
    first = pickle.loads(batches["data_batch_1"])
    assert data.train.images.shape == (5 * BATCH_SIZE, 32, 32, 3)
    assert data.test.images.shape == (BATCH_SIZE, 32, 32, 3)
    assert data.train.images.dtype == np.uint8
    assert data.train.images.flags.c_contiguous
    assert data.train.targets.dtype == np.int64
    assert data.train.targets[:BATCH_SIZE].tolist() == first["labels"]
    # the original stores channels first: all of red, then green, then blue
    assert np.array_equal(data.train.images[1, 0, 5], first["data"][1].reshape(3, 32, 32)[:, 0, 5])


def test_is_offered_under_its_name():
    assert frame_components() == {"cifar10": Cifar10}


@pytest.mark.parametrize("subfolder", ["", "cifar10"])
def test_reads_a_tree_in_canonical_class_order(tmp_path, subfolder):
    root = tmp_path / subfolder
    write_tree(root)
    data = Cifar10().build(tmp_path)
    assert data.classes[3] == "cat"
    assert data.train.targets.tolist() == np.repeat(np.arange(10), 2).tolist()
    assert data.test.source(7) == "test/cat/0001.png"
    assert np.array_equal(data.test.images[7], np.asarray(PIL.Image.open(root / data.test.source(7))))
    assert data.info.shape == (32, 32, 3)
    assert data.std == (0.2023, 0.1994, 0.2010)


def test_checksum_names_the_images(tmp_path):
    write_tree(tmp_path)
    before = Cifar10().build(tmp_path).checksum
    assert Cifar10().build(tmp_path).checksum == before
    PIL.Image.new("RGB", (32, 32)).save(tmp_path / "test/truck/0001.png")
    assert Cifar10().build(tmp_path).checksum != before


def test_tree_with_wrong_classes_is_refused_with_all_of_them(tmp_path):
    write_tree(tmp_path)
    (tmp_path / "train/truck").rename(tmp_path / "train/lorry")
    (tmp_path / "test/ship/0000.png").unlink()
    (tmp_path / "test/ship/0001.png").rename(tmp_path / "test/ship/readme.txt")
    with pytest.raises(UserError) as error:
        Cifar10().build(tmp_path)
    text = str(error.value)
    assert "missing: truck" in text
    assert "not a class of CIFAR-10: lorry" in text
    assert f"{tmp_path / 'test/ship'}: the folder of a class has no image" in text


def test_tree_without_test_part_is_refused(tmp_path):
    write_tree(tmp_path)
    (tmp_path / "test").rename(tmp_path / "held-out")
    with pytest.raises(UserError, match=r"test: CIFAR-10 has ten class folders; missing: airplane, automobile"):
        Cifar10().build(tmp_path)


def test_images_of_another_size_are_refused(tmp_path):
    write_tree(tmp_path, size=(28, 30))
    data = Cifar10().build(tmp_path)
    with pytest.raises(UserError) as caught:
        refuse_unread(data, skip=False)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("data: 20 of 20 training images cannot be used; ")
    assert lines[1].endswith("airplane/0000.png: cannot be used: 30x28 pixels, not 32x32")
    assert lines[6] == "data: and 15 more"
    with pytest.raises(UserError, match="20 of 20 training images cannot be used"):
        refuse_unread(data, skip=True)  # none is left


@pytest.mark.parametrize("subfolder", ["", "cifar10"])
def test_reads_the_batches(tmp_path, batches, subfolder):
    write_batches(tmp_path / subfolder, batches)
    assert_is_the_original(Cifar10().build(tmp_path), batches)


class Bomb:
    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return Path.touch, (self.place,)


def test_changed_batch_is_never_unpickled(tmp_path, batches):
    folder = write_batches(tmp_path, batches)
    exploded = tmp_path / "exploded"
    (folder / "data_batch_3").write_bytes(pickle.dumps(Bomb(exploded)))
    (folder / "batches.meta").unlink()
    with pytest.raises(UserError, match=r"checksum\): data_batch_3, batches.meta; remove"):
        Cifar10().build(tmp_path)
    assert not exploded.exists()


def test_reads_the_archive_and_leaves_its_folder_alone(tmp_path, batches, archive):
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(archive)
    data = Cifar10().build(tmp_path)
    assert_is_the_original(data, batches)
    assert [place.name for place in tmp_path.iterdir()] == ["cifar-10-python.tar.gz"]
    (tmp_path / "cifar-10-python.tar.gz").unlink()
    write_batches(tmp_path, batches)
    assert Cifar10().build(tmp_path).checksum == data.checksum


def test_truncated_archive_is_refused(tmp_path, archive):
    file = tmp_path / "cifar-10-python.tar.gz"
    file.write_bytes(archive[: len(archive) // 2])
    with pytest.raises(UserError, match=f"{file}: damaged or incomplete: its md5 is .*{CIFAR10.tgz_md5}"):
        Cifar10().build(tmp_path)


def as_archive(member, monkeypatch):
    """The bytes of an archive of one member, which passes for the original."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        tar.addfile(member, io.BytesIO(b"x" * member.size))
    monkeypatch.setattr(CIFAR10, "tgz_md5", md5(file.getvalue()).hexdigest())
    return file.getvalue()


@pytest.mark.parametrize("way", ["archive", "download"])
@pytest.mark.parametrize("kind", ["above", "absolute", "link", "device", "no archive"])
def test_an_archive_writes_nothing_outside_its_folder(tmp_path, monkeypatch, serve, kind, way):
    outside, root = tmp_path / "outside", tmp_path / "root"
    root.mkdir()
    member = tarfile.TarInfo({"above": "../../../../../../" + str(outside), "absolute": str(outside)}.get(kind, "x"))
    member.size = 4 if kind in ("above", "absolute") else 0
    if kind == "link":
        member.type, member.linkname = tarfile.SYMTYPE, str(outside)
    if kind == "device":
        member.type = tarfile.FIFOTYPE
    content = as_archive(member, monkeypatch)
    if kind == "no archive":
        content = b"no archive"
        monkeypatch.setattr(CIFAR10, "tgz_md5", md5(content).hexdigest())
    if way == "archive":
        (root / "cifar-10-python.tar.gz").write_bytes(content)
    else:
        serve(content)
    with pytest.raises(UserError, match=r"cannot be unpacked|could not be downloaded|missing or not the original"):
        Cifar10().build(root)
    assert not outside.exists()


def test_downloads_the_original_once(tmp_path, batches, archive, serve):
    root = tmp_path / "new" / "data"
    requests = []
    serve(archive, meanwhile=lambda: requests.append(1))
    assert_is_the_original(Cifar10().build(root), batches)
    assert [place.name for place in root.iterdir()] == ["cifar-10-batches-py"]
    before = len(requests)
    assert_is_the_original(Cifar10().build(root), batches)
    assert len(requests) == before > 0


@pytest.mark.parametrize("kind", ["cut off", "another file"])
def test_bad_download_leaves_nothing_behind(tmp_path, archive, serve, kind):
    if kind == "cut off":
        serve(archive[: len(archive) // 2], promised=len(archive))
    else:
        serve(archive[:-1] + b"x")
    with pytest.raises(UserError, match="could not be downloaded"):
        Cifar10().build(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_another_run_may_download_at_the_same_time(tmp_path, batches, archive, serve):
    def other_run():
        if not (tmp_path / "cifar-10-batches-py").exists():
            write_batches(tmp_path, batches)

    serve(archive, meanwhile=other_run)
    assert_is_the_original(Cifar10().build(tmp_path), batches)
    assert [place.name for place in tmp_path.iterdir()] == ["cifar-10-batches-py"]


def test_without_network_it_says_what_to_put_where(tmp_path, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    download_from(monkeypatch, port)
    with pytest.raises(UserError) as error:
        Cifar10().build(tmp_path)
    text = str(error.value)
    assert f"{tmp_path}/cifar-10-python.tar.gz, from {CIFAR10.url}, md5 c58f30108f718f92721af3b95e74349a" in text
    assert f"{tmp_path}/train/<class>/" in text
    assert "FRAME_DATA_DIR" in text
    assert "refused" in text


def test_a_silent_server_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(original, "NETWORK_TIMEOUT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        download_from(monkeypatch, silent.getsockname()[1])
        with pytest.raises(UserError, match="timed out"):
            Cifar10().build(tmp_path)
    assert socket.getdefaulttimeout() is None


def test_a_root_that_is_a_file_is_the_users_mistake(tmp_path):
    root = tmp_path / "data"
    root.write_text("")
    with pytest.raises(UserError, match=r"could not be downloaded .*File exists"):
        Cifar10().build(root)


@pytest.mark.cifar10
def test_real_images(cifar10_root, tmp_path):
    (tmp_path / "test").symlink_to(cifar10_root / "test")
    for name in CLASSES:  # a tenth of the test images for training: to read the 50,000 takes half a minute
        (tmp_path / "train" / name).mkdir(parents=True)
        for number in range(100):
            image = f"{name}/{number:04}.jpg"
            (tmp_path / "train" / image).symlink_to(cifar10_root / "test" / image)
    data = Cifar10().build(tmp_path)
    assert np.bincount(data.test.targets).tolist() == [1_000] * 10
    of_a_class = np.split(data.test.images, 10)
    assert np.array_equal(data.train.images, np.concatenate([images[:100] for images in of_a_class]))
    for index in (0, 4_321, 9_999):
        image = PIL.Image.open(tmp_path / data.test.source(index)).convert("RGB")
        assert np.array_equal(data.test.images[index], np.asarray(image))
    assert data.test.images.mean(axis=(0, 1, 2)) / 255 == pytest.approx(data.mean, abs=0.02)
