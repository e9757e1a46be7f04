"""Every dialect, byte for byte as frontends have always seen it."""

from tests.dialects.replies import FOLDER, all_transcripts


async def test_every_reply_is_told_as_its_transcript_has_it() -> None:
    kept = {path.relative_to(FOLDER).as_posix(): path.read_bytes() for path in sorted(FOLDER.rglob("*.sse"))}
    told = await all_transcripts()
    assert sorted(told) == sorted(kept)
    assert {file for file in told if told[file] != kept[file]} == set()
