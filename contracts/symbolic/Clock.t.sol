// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Live, Phase, Status, Terms} from "../src/Types.sol";
import {ClockLib, Turn} from "../src/libraries/ClockLib.sol";

/// @notice Proofs about the windows of a running round, for all terms, counters and times.
contract ClockSymbolic {
    using ClockLib for Live;

    Terms private terms;

    struct Round {
        uint24 commitSeconds;
        uint24 revealSeconds;
        uint24 mergeSeconds;
        uint24 openMergeSeconds;
        uint8 patience;
        uint16 minUpdates;
        uint32 since;
        uint32 commitEndsAt;
        uint32 revealEndsAt;
        uint16 reveals;
        uint16 lastRound;
    }

    function check_due__atAnyTime__isAFactFromItsMomentOn(Round calldata round, uint32 time, uint32 later) external {
        Live memory live = _live(round);
        (Turn turn, uint32 moment) = live.due(terms, time);
        if (turn == Turn.None || later < time) return;
        assert(moment <= time);
        (Turn atMoment, uint32 sameMoment) = live.due(terms, moment);
        assert(atMoment == turn && sameMoment == moment);
        (Turn then, uint32 still) = live.due(terms, later);
        assert(then == turn && still == moment);
    }

    function check_phase__atAnyTime__neverGoesBack(Round calldata round, uint32 time, uint32 later) external {
        if (later < time) return;
        Live memory live = _live(round);
        assert(uint8(live.phase(terms, time)) <= uint8(live.phase(terms, later)));
    }

    function check_read__whileNothingIsDue__hasTheTimeInItsWindow(Round calldata round, uint32 time) external {
        Live memory live = _live(round);
        (Turn turn,) = live.due(terms, time);
        if (turn != Turn.None || time < live.since) return;
        assert(time < live.read(terms, time).endsAt);
    }

    function _live(Round calldata round) private returns (Live memory live) {
        terms.commitSeconds = round.commitSeconds;
        terms.revealSeconds = round.revealSeconds;
        terms.mergeSeconds = round.mergeSeconds;
        terms.openMergeSeconds = round.openMergeSeconds;
        terms.patience = round.patience;
        terms.minUpdates = round.minUpdates;
        live.status = Status.Running;
        live.since = round.since;
        live.commitEndsAt = round.commitEndsAt;
        live.revealEndsAt = round.revealEndsAt;
        live.reveals = round.reveals;
        live.lastRound = round.lastRound;
    }
}
