/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test/lab/nvidia/nvidia.h - what the stand-ins for NVIDIA's modules share */
#pragma once

/* What makes one module need another: a symbol of it */
int lab_nvidia_needed(void);
int lab_nvidia_modeset_needed(void);
